"""Who calls: told from what the transport has verified, never from the request's body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

DEFAULT_TENANT = "default"


@dataclass(frozen=True)
class Caller:
    """A tenant's client, or an administrator, who writes policies and is no tenant by that. `name` is for the log."""

    tenant: str
    name: str = ""
    admin: bool = False


class CallerResolver(Protocol):
    """Tells the caller of a gRPC call or an HTTP request."""

    def resolve(self, headers: Mapping[str, str], peer: str) -> Caller:
        """Of lower-case headers and the address of the other end. Raises Unauthenticated without an identity."""
        ...


@dataclass(frozen=True)
class SingleTenant:
    """Everybody is one tenant, and may do everything: for one's own machine."""

    tenant: str = DEFAULT_TENANT

    def resolve(self, headers: Mapping[str, str], peer: str) -> Caller:
        return Caller(self.tenant, "anybody", admin=True)
