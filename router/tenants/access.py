"""Who may do what with budgets: administrators everything, a tenant may read its own."""

import grpc

from router.identity import Caller, CallerResolver
from router.tenants.inheritance import resource_name
from services.shared.call_facts import call_headers
from services.shared.errors import PermissionDenied


def caller_of(context: grpc.aio.ServicerContext, callers: CallerResolver) -> Caller:
    """Who makes this call. Raises Unauthenticated."""
    return callers.resolve(call_headers(context), context.peer())


def require_admin(caller: Caller) -> Caller:
    """The caller. Raises PermissionDenied for anybody else than an administrator."""
    if not caller.admin:
        raise PermissionDenied(f"{_who(caller)} may not do this; it needs the admin role")
    return caller


def require_own(caller: Caller, tenant: str) -> None:
    """Raises PermissionDenied for what is another tenant's."""
    if not caller.admin and caller.tenant != tenant:
        raise PermissionDenied(f"{_who(caller)} may not read {resource_name(tenant)}; it needs the admin role")


def _who(caller: Caller) -> str:
    return f"tenant {caller.tenant!r}"
