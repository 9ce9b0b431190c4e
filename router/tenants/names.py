"""Resource names on the wire: `tenants/{tenant}/budgetPolicy`, and `cluster/budgetPolicy` for all."""

import re

from router.tenants.inheritance import resource_name
from router.tenants.policy import CLUSTER, TENANT_PATTERN
from services.shared.errors import InvalidArgument, Violation

RESOURCE = re.compile(r"tenants/(?P<tenant>[^/]+)/budgetPolicy")


def parse_resource(name: str, field: str) -> str:
    """The tenant of a resource name, or `cluster`. Raises InvalidArgument."""
    if name == resource_name(CLUSTER):
        return CLUSTER
    found = RESOURCE.fullmatch(name)
    if found is None:
        raise InvalidArgument(
            Violation(field, f"{name[:200]!r} is neither tenants/{{tenant}}/budgetPolicy nor {resource_name(CLUSTER)}")
        )
    return check_tenant(found["tenant"], field)


def check_tenant(tenant: str, field: str) -> str:
    """The same name. Raises InvalidArgument when no tenant can have it."""
    # what all tenants inherit is kept under this name
    if tenant == CLUSTER or not re.fullmatch(TENANT_PATTERN, tenant):
        raise InvalidArgument(
            Violation(
                field,
                f"{tenant[:200]!r} is no name of a tenant; use at most 128 of A-Z a-z 0-9 . _ @ -, a letter or digit "
                f"first, other than {CLUSTER!r}",
            )
        )
    return tenant
