"""The tenants' budget API on a real port, around a store of the test's choice."""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import grpc

from protos.generation.v1 import generation_pb2
from protos.router.v1 import tenant_budget_pb2 as pb
from protos.router.v1 import tenant_budget_pb2_grpc
from router.budgets.limits import Limits
from router.identity import Caller
from router.tenants.feed import FeedSettings, OpenStore, PolicyFeed
from router.tenants.inheritance import Effective, resource_name
from router.tenants.servicer import TenantBudgetServicer
from router.tenants.store import PolicyStore
from router.tenants.table import PolicyTable
from router.tenants.writing import PolicyWriter
from services.shared.errors import Unauthenticated
from services.shared.interceptors import ErrorInterceptor
from services.shared.lifecycle import background, listen

MAX_BYTES = 1 << 20


class Keys:
    """`Bearer root` is the administrator, any other key the tenant of that name."""

    def resolve(self, headers: Any, peer: str) -> Caller:
        key = headers.get("authorization", "").removeprefix("Bearer ")
        if not key:
            raise Unauthenticated("authorization: is missing; send your key")
        return Caller("ops" if key == "root" else key, key, admin=key == "root")


@dataclass
class BudgetApi:
    """One router's share of the API, and a client of it."""

    feed: PolicyFeed
    target: str
    stub: tenant_budget_pb2_grpc.TenantBudgetServiceStub
    # what the feed told of its age
    states: list[bool]

    @property
    def table(self) -> PolicyTable:
        return self.feed.table

    async def call(self, method: str, request: Any, key: str = "root") -> Any:
        metadata = (("authorization", f"Bearer {key}"),) if key else ()
        return await getattr(self.stub, method)(request, metadata=metadata)

    async def get(self, tenant: str) -> pb.TenantBudget:
        return (await self.call("GetTenantBudget", pb.GetTenantBudgetRequest(name=resource_name(tenant)))).budget

    async def create(self, tenant: str, validate_only: bool = False, **limits: Any) -> pb.TenantBudget:
        request = pb.CreateTenantBudgetRequest(budget=budget(tenant, **limits), validate_only=validate_only)
        return (await self.call("CreateTenantBudget", request)).budget

    async def update(self, seen: pb.TenantBudget, *paths: str, validate_only: bool = False, **limits: Any) -> Any:
        changed = pb.TenantBudget(name=seen.name, etag=seen.etag, limits=pb.BudgetLimits(**limits))
        request = pb.UpdateTenantBudgetRequest(budget=changed, validate_only=validate_only)
        request.update_mask.paths.extend(paths)
        return (await self.call("UpdateTenantBudget", request)).budget


def budget(tenant: str, **limits: Any) -> pb.TenantBudget:
    """A resource without an etag."""
    return pb.TenantBudget(name=resource_name(tenant), limits=pb.BudgetLimits(**limits))


def opens(store: PolicyStore) -> OpenStore:
    """Opens this one."""

    def open_store() -> AbstractAsyncContextManager[PolicyStore]:
        return nullcontext(store)

    return open_store


@asynccontextmanager
async def budget_api(
    open_store: OpenStore | None, aliases: Collection[str] | None = None, router: str = "router-1", **settings: Any
) -> AsyncIterator[BudgetApi]:
    """Serves until the end of the block; waits for nothing."""
    table = PolicyTable(Limits(), fresh_seconds=settings.pop("fresh_seconds", 3.0))
    states: list[bool] = []

    async def on_state(fresh: bool) -> None:
        states.append(fresh)

    def explain(tenant: str, model: str, prompt_tokens: int, new_tokens: int, kv: Any, slo: Any) -> Any:
        found: Effective = table.effective(tenant, model)
        granted = min(prompt_tokens, found.limits.max_budget_tokens or prompt_tokens)
        decision = generation_pb2.BudgetDecision(
            tenant=tenant, granted_tokens=granted, rule="tenant_cap", predicted_ttft=slo.ttft, reasons=["said so"]
        )
        return decision, found

    feed = PolicyFeed(table, FeedSettings(router, **{"poll_seconds": 0.1, **settings}), open_store, on_state)
    servicer = TenantBudgetServicer(feed, PolicyWriter(Limits(), lambda: aliases), Keys(), explain)
    server = grpc.aio.server(interceptors=[ErrorInterceptor(MAX_BYTES)])
    tenant_budget_pb2_grpc.add_TenantBudgetServiceServicer_to_server(servicer, server)
    port = await listen(server, "127.0.0.1", 0)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, background(feed.follow()):
            stub = tenant_budget_pb2_grpc.TenantBudgetServiceStub(channel)
            yield BudgetApi(feed, f"127.0.0.1:{port}", stub, states)
    finally:
        await server.stop(None)
