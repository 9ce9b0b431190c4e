"""A tenant's name in a header counts only from a gateway that is trusted."""

from ipaddress import ip_network

import pytest

from router.identity import SingleTenant
from router.trusted_hop import HEADERS, TrustedHop
from services.shared.errors import InvalidArgument

HOP = TrustedHop((ip_network("10.0.0.0/8"), ip_network("fd00::/8")), SingleTenant("everybody"))


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("peer", ["ipv4:10.1.2.3:4711", "ipv6:%5Bfd00::7%5D:4711", "10.1.2.3", "fd00::7"])
def test_gateway_names_the_tenant_who_is_no_administrator(header, peer):
    caller = HOP.resolve({header: "acme"}, peer)
    assert (caller.tenant, caller.admin) == ("acme", False)


@pytest.mark.parametrize("peer", ["ipv4:192.168.1.2:4711", "ipv6:%5B::1%5D:1", "unix:/tmp/x", "", "ipv4:nonsense"])
def test_forged_header_is_not_believed(peer):
    assert HOP.resolve({HEADERS[0]: "acme"}, peer).tenant == "everybody"


def test_gateway_that_names_nobody_leaves_it_to_others():
    assert HOP.resolve({}, "ipv4:10.1.2.3:4711").tenant == "everybody"


@pytest.mark.parametrize("name", ["cluster", "a b", "../x", "x" * 200])
def test_what_is_no_tenants_name_is_refused(name):
    with pytest.raises(InvalidArgument, match="is not a tenant's name"):
        HOP.resolve({HEADERS[0]: name}, "ipv4:10.1.2.3:4711")
