"""Whose request it is."""

from dataclasses import dataclass
from typing import Protocol

import grpc


@dataclass(frozen=True)
class Tenant:
    """Somebody whose requests share rules and quotas."""

    name: str


class TenantResolver(Protocol):
    """Tells the tenant from what the transport has verified, never from the request's body."""

    async def resolve(self, context: grpc.aio.ServicerContext) -> Tenant:
        """The tenant of this call. Raises a ServiceError when the caller has no identity."""
        ...


@dataclass(frozen=True)
class SingleTenant:
    """Every call belongs to one tenant."""

    name: str = "default"

    async def resolve(self, context: grpc.aio.ServicerContext) -> Tenant:
        return Tenant(self.name)
