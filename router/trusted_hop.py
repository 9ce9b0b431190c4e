"""Tenants named by a gateway that has verified them; nobody else is believed."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from router.identity import Caller, CallerResolver
from router.tenants.policy import CLUSTER, TENANT_PATTERN
from services.shared.errors import InvalidArgument, Violation

# what gateways of the field send
HEADERS = ("x-lookaheadkv-tenant", "x-smg-tenant-id", "x-gateway-inference-fairness-id")
# before the address and port in gRPC's name of a peer
GRPC_KINDS = ("ipv4", "ipv6")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class TrustedHop:
    """Believes a tenant's name from `networks`; all others, and what names no tenant, are for `otherwise` to tell.

    Who is named by a header is never an administrator.
    """

    networks: tuple[Network, ...]
    otherwise: CallerResolver

    def resolve(self, headers: Mapping[str, str], peer: str) -> Caller:
        name = next((headers[header] for header in HEADERS if headers.get(header)), "")
        if not name or not self._trusted(peer):
            return self.otherwise.resolve(headers, peer)
        if name == CLUSTER or not re.fullmatch(TENANT_PATTERN, name):
            raise InvalidArgument(Violation("tenant", f"{name[:64]!r} in the header is not a tenant's name"))
        return Caller(name, name)

    def _trusted(self, peer: str) -> bool:
        address = address_of(peer)
        return address is not None and any(address in network for network in self.networks)


def address_of(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in gRPC's name of a peer, e.g. ipv4:10.0.0.7:4711, or a bare one; None for another kind."""
    kind, _, rest = peer.partition(":")
    host = unquote(rest).rpartition(":")[0].strip("[]") if kind in GRPC_KINDS else peer
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
