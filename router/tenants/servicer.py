"""The tenants' budget API over gRPC."""

from typing import Protocol

import grpc
import structlog

from protos.generation.v1 import generation_pb2
from protos.router.v1 import tenant_budget_pb2 as pb
from protos.router.v1 import tenant_budget_pb2_grpc
from router.identity import CallerResolver
from router.tenants.access import caller_of, require_admin, require_own
from router.tenants.feed import PolicyFeed
from router.tenants.inheritance import Effective, resource_name
from router.tenants.masks import check_paths
from router.tenants.messages import (
    budget_message,
    limits_message,
    router_message,
    to_policy,
    wire_origins,
    write_message,
)
from router.tenants.names import check_tenant, parse_resource
from router.tenants.paging import AUDIT_TOKEN, page_size
from router.tenants.parsing import parse_policy
from router.tenants.statuses import as_statuses
from router.tenants.store import StoredPolicy
from router.tenants.writing import PolicyWriter, Write
from services.shared.errors import DataLoss, InvalidArgument, NotFound, Violation
from services.shared.generation import Sampling
from services.shared.redis.errors import StoreError

logger = structlog.get_logger()


class Explain(Protocol):
    """What a request would be given."""

    def __call__(
        self,
        tenant: str,
        model: str,
        prompt_tokens: int,
        new_tokens: int,
        kv: generation_pb2.KvHint,
        slo: generation_pb2.Slo,
    ) -> tuple[generation_pb2.BudgetDecision, Effective]:
        """An empty model is the one that is served. Raises ServiceError."""
        ...


class TenantBudgetServicer(tenant_budget_pb2_grpc.TenantBudgetServiceServicer):
    """Reads and writes the store itself; only what it explains comes from this router's table."""

    def __init__(self, feed: PolicyFeed, writer: PolicyWriter, callers: CallerResolver, explain: Explain) -> None:
        self._feed = feed
        self._writer = writer
        self._callers = callers
        self._explain = explain

    async def GetTenantBudget(
        self, request: pb.GetTenantBudgetRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetTenantBudgetResponse:
        caller = caller_of(context, self._callers)
        tenant = parse_resource(request.name, "name")
        require_own(caller, tenant)
        with as_statuses(request.name):
            stored = (await self._feed.store().snapshot()).get(tenant)
        if stored is None:
            raise NotFound("name", request.name, sentence=f"name: {request.name!r} does not exist; it inherits all")
        return pb.GetTenantBudgetResponse(budget=_message(stored))

    async def ListTenantBudgets(
        self, request: pb.ListTenantBudgetsRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListTenantBudgetsResponse:
        require_admin(caller_of(context, self._callers))
        size = page_size(request)
        if request.page_token:
            parse_resource(request.page_token, "page_token")
        with as_statuses("budgets"):
            snapshot = await self._feed.store().snapshot()
        by_name = {resource_name(stored.tenant): stored for stored in snapshot.policies}
        names = sorted(name for name in by_name if name > request.page_token)
        more = names[size - 1] if len(names) > size else ""
        budgets = [_message(by_name[name]) for name in names[:size]]
        return pb.ListTenantBudgetsResponse(budgets=budgets, next_page_token=more)

    async def CreateTenantBudget(
        self, request: pb.CreateTenantBudgetRequest, context: grpc.aio.ServicerContext
    ) -> pb.CreateTenantBudgetResponse:
        caller = require_admin(caller_of(context, self._callers))
        tenant = parse_resource(request.budget.name, "budget.name")
        if request.budget.etag:
            raise InvalidArgument(Violation("budget.etag", "is for what exists; leave it out, or update instead"))
        policy = to_policy(request.budget)
        write = Write(tenant, policy, "", caller.name, "create", validate_only=request.validate_only)
        return pb.CreateTenantBudgetResponse(budget=await self._write(write))

    async def UpdateTenantBudget(
        self, request: pb.UpdateTenantBudgetRequest, context: grpc.aio.ServicerContext
    ) -> pb.UpdateTenantBudgetResponse:
        caller = require_admin(caller_of(context, self._callers))
        tenant = parse_resource(request.budget.name, "budget.name")
        etag = _etag(request.budget.etag, "budget.etag")
        paths = tuple(request.update_mask.paths)
        check_paths(paths)
        policy = to_policy(request.budget)
        write = Write(tenant, policy, etag, caller.name, "update", paths, request.validate_only)
        return pb.UpdateTenantBudgetResponse(budget=await self._write(write))

    async def DeleteTenantBudget(
        self, request: pb.DeleteTenantBudgetRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteTenantBudgetResponse:
        caller = require_admin(caller_of(context, self._callers))
        tenant = parse_resource(request.name, "name")
        etag = _etag(request.etag, "etag")
        write = Write(tenant, None, etag, caller.name, "delete", validate_only=request.validate_only)
        await self._write(write)
        return pb.DeleteTenantBudgetResponse()

    async def GetEffectiveBudget(
        self, request: pb.GetEffectiveBudgetRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetEffectiveBudgetResponse:
        caller = caller_of(context, self._callers)
        tenant = check_tenant(request.tenant, "tenant") if request.tenant else caller.tenant
        require_own(caller, tenant)
        new_tokens = request.max_new_tokens if request.HasField("max_new_tokens") else Sampling().max_new_tokens
        for field, tokens in (("prompt_tokens", request.prompt_tokens), ("max_new_tokens", new_tokens)):
            if tokens < 1:
                raise InvalidArgument(Violation(field, f"{tokens} is not a number of tokens; set 1 or more"))
        decision, found = self._explain(
            tenant, request.model, request.prompt_tokens, new_tokens, request.kv, request.slo
        )
        return pb.GetEffectiveBudgetResponse(
            decision=decision, limits=limits_message(found.limits), origins=wire_origins(found.origins)
        )

    async def ListBudgetWrites(
        self, request: pb.ListBudgetWritesRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListBudgetWritesResponse:
        require_admin(caller_of(context, self._callers))
        size = page_size(request)
        if request.page_token and not AUDIT_TOKEN.fullmatch(request.page_token):
            raise InvalidArgument(Violation("page_token", f"{request.page_token[:64]!r} came with no page"))
        tenant = parse_resource(request.name, "name") if request.name else None
        with as_statuses("writes"):
            found = await self._feed.store().audit(request.page_token, size + 1, tenant)
        more = found[size - 1].number if len(found) > size else ""
        return pb.ListBudgetWritesResponse(writes=map(write_message, found[:size]), next_page_token=more)

    async def GetPolicyStatus(
        self, request: pb.GetPolicyStatusRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetPolicyStatusResponse:
        require_admin(caller_of(context, self._callers))
        own = router_message(self._feed.observation())
        # by this router's clock: others compare it with nothing
        own.observed_time.GetCurrentTime()
        try:
            seen = await self._feed.seen()
        except StoreError:
            # what the others go by is not known now; this router's problem says why
            seen = ()
        others = [router_message(one) for one in seen if one.router != own.router]
        return pb.GetPolicyStatusResponse(router=own, routers=[own, *others])

    async def _write(self, write: Write) -> pb.TenantBudget | None:
        with as_statuses(resource_name(write.tenant)):
            written = await self._writer.write(self._feed.store(), write)
            if not write.validate_only:
                await self._refresh()
        return budget_message(*written) if written else None

    async def _refresh(self) -> None:
        # so that who writes and asks at once is answered by it; the write is done, whatever comes of this
        try:
            await self._feed.refresh()
        except StoreError as error:
            logger.warning("budget policies cannot be read after a write", reason=str(error))


def _etag(etag: str, field: str) -> str:
    if not etag:
        raise InvalidArgument(Violation(field, "is missing; send the one that you have read"))
    return etag


def _message(stored: StoredPolicy) -> pb.TenantBudget:
    try:
        return budget_message(stored, parse_policy(stored))
    except ValueError as error:
        name = resource_name(stored.tenant)
        remedy = f"update all of it, or delete it, with etag {stored.etag!r}"
        sentence = f"{name}: what is stored cannot be read: {error}; {remedy}"
        raise DataLoss(sentence, "POLICY_DAMAGED", name=name, etag=stored.etag) from error
