"""A router that knows its callers: each tenant has its own budget, changed while it serves."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from grpc_status import rpc_status

from protos.generation.v1 import generation_pb2
from protos.router.v1 import tenant_budget_pb2 as pb
from protos.router.v1 import tenant_budget_pb2_grpc
from tests.integration.clients import Client, generate_request, until
from tests.integration.registry_client import refusal
from tests.integration.router_calls import long_call

# the bound within which every router goes by a change
FOLLOW_SECONDS = 2.0
PROMPT_TOKENS = 1000
WHOLE = generation_pb2.KvHint(keep_ratio=1.0)
KEYS = {"root": "{{sha256: {0}, tenant: ops, admin: true}}", "one": "{{sha256: {0}, tenant: acme}}"}


def as_caller(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


@dataclass
class Routers:
    """Two routers in front of one runtime."""

    first: Client
    second: Client

    def api(self, client: Client) -> tenant_budget_pb2_grpc.TenantBudgetServiceStub:
        return tenant_budget_pb2_grpc.TenantBudgetServiceStub(client.channel)

    async def create(self, tenant: str = "acme", **limits) -> pb.TenantBudget:
        budget = pb.TenantBudget(name=f"tenants/{tenant}/budgetPolicy", limits=pb.BudgetLimits(**limits))
        request = pb.CreateTenantBudgetRequest(budget=budget)
        return (await self.api(self.first).CreateTenantBudget(request, metadata=as_caller("root"))).budget

    async def limit(self, client: Client) -> int:
        """How many requests at once a router goes by for the tenant `default`; 0 for any."""
        request = pb.GetEffectiveBudgetRequest(tenant="default", prompt_tokens=1)
        return (await self.api(client).GetEffectiveBudget(request)).limits.max_concurrent_requests

    async def answer(self, client: Client, key: str = "one", **fields) -> generation_pb2.GenerateComplete:
        request = generate_request(PROMPT_TOKENS, 2)
        request.MergeFrom(generation_pb2.GenerateRequest(**fields))
        responses = [response async for response in client.generation.Generate(request, metadata=as_caller(key))]
        return responses[-1].complete


@pytest.fixture
async def routers(start_runtime, start_router, redis_server, tmp_path) -> AsyncIterator[Routers]:
    keys = [line.format(hashlib.sha256(key.encode()).hexdigest()) for key, line in KEYS.items()]
    (tmp_path / "keys.yaml").write_text("keys: [" + ", ".join(keys) + "]")
    runtime = start_runtime()
    known = {"ROUTER_REDIS_URL": redis_server.url, "ROUTER_API_KEYS_PATH": tmp_path / "keys.yaml"}
    started = [start_router(runtime.target, **known) for _ in range(2)]
    async with Client(started[0].target) as first, Client(started[1].target) as second:
        await first.ready()
        await second.ready()
        yield Routers(first, second)


async def test_every_router_goes_by_a_new_budget_and_explains_what_it_gives(routers):
    before = await routers.answer(routers.second)
    await routers.create(max_budget_tokens=100, min_retained_mass=0.5)
    after = await until(
        lambda: routers.answer(routers.second), lambda answer: answer.kv.kept_tokens <= 100, FOLLOW_SECONDS
    )
    explained = await routers.api(routers.second).GetEffectiveBudget(
        pb.GetEffectiveBudgetRequest(prompt_tokens=PROMPT_TOKENS), metadata=as_caller("one")
    )
    other = await routers.answer(routers.second, "root")
    assert (before.decision.tenant, before.decision.granted_tokens) == ("acme", PROMPT_TOKENS)
    assert (after.decision.rule, after.decision.granted_tokens) == ("tenant_cap", 100)
    assert after.decision.policy_generation > before.decision.policy_generation
    assert after.kv.reasons[0].startswith("retained mass ")
    assert (explained.decision.rule, explained.decision.granted_tokens) == ("tenant_cap", 100)
    assert explained.origins["max_budget_tokens"] == "tenants/acme/budgetPolicy"
    assert (other.decision.tenant, other.kv.kept_tokens) == ("ops", PROMPT_TOKENS)


async def test_policy_full_does_not_get_past_the_tenants_cap(routers):
    await routers.create(max_budget_tokens=100)
    answer = await routers.answer(routers.first, kv=generation_pb2.KvHint(policy="full"))
    assert (answer.kv.kept_tokens, answer.kv.policy) == (100, "window")
    assert any("policy full would keep the whole prompt" in reason for reason in answer.kv.reasons)


async def test_caller_without_a_key_is_refused_and_a_tenant_may_not_write(routers):
    nobody = await refusal(routers.answer(routers.first, "wrong"))
    budget = pb.TenantBudget(name="tenants/acme/budgetPolicy")
    call = routers.api(routers.first).CreateTenantBudget(
        pb.CreateTenantBudgetRequest(budget=budget), metadata=as_caller("one")
    )
    assert nobody.code() == StatusCode.UNAUTHENTICATED
    assert (await refusal(call)).code() == StatusCode.PERMISSION_DENIED


async def test_alias_that_is_not_the_tenants_or_that_does_not_exist_is_refused(routers):
    await routers.create(adapter_aliases=pb.AdapterAliases(names=[]))
    alias = await refusal(routers.answer(routers.first, kv=generation_pb2.KvHint(adapter="canary")))
    unknown = await refusal(routers.create("beta", adapter_aliases=pb.AdapterAliases(names=["gone"])))
    assert alias.code() == StatusCode.PERMISSION_DENIED and "kv.adapter: 'canary'" in alias.details()
    assert unknown.code() == StatusCode.INVALID_ARGUMENT and "'gone' is no alias" in unknown.details()


async def test_slo_that_cannot_be_met_is_refused_where_the_tenant_wants_that(routers):
    await routers.create(on_conflict=pb.ON_CONFLICT_REJECT)
    soon = generation_pb2.Slo(tpot=Duration(nanos=1))
    error = await refusal(routers.answer(routers.first, slo=soon))
    late = await routers.answer(routers.first, slo=generation_pb2.Slo(tpot=Duration(seconds=60)))
    wrong = await refusal(routers.answer(routers.first, slo=generation_pb2.Slo(ttft=Duration(seconds=-1))))
    assert error.code() == StatusCode.RESOURCE_EXHAUSTED and "on_conflict is reject" in error.details()
    assert late.decision.HasField("predicted_tpot") and late.decision.HasField("predicted_ttft")
    assert wrong.code() == StatusCode.INVALID_ARGUMENT and wrong.details().startswith("slo.ttft: ")


async def test_budgets_outlive_redis(routers, redis_server):
    await routers.create(max_budget_tokens=100)
    redis_server.kill()
    answer = await routers.answer(routers.first)
    error = await refusal(routers.create("beta", max_budget_tokens=100))
    redis_server.start()
    await until(lambda: wrote(routers), lambda done: done, 10)
    assert answer.decision.granted_tokens == 100
    assert error.code() == StatusCode.UNAVAILABLE


async def wrote(routers: Routers) -> bool:
    try:
        await routers.create("gamma", max_budget_tokens=100)
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_quotas_hold_over_both_routers_and_say_whether_waiting_helps(routers):
    await routers.create(requests_per_minute=2, tokens_per_minute=3000)
    for client in (routers.first, routers.second):
        await routers.answer(client)
    later = await refusal(routers.answer(routers.first))
    never = await refusal(routers.answer(routers.first, sampling=generation_pb2.SamplingParams(max_new_tokens=2500)))
    assert later.code() == never.code() == StatusCode.RESOURCE_EXHAUSTED
    assert details(later) == {"QuotaFailure", "ErrorInfo", "RetryInfo"}
    assert details(never) == {"QuotaFailure", "ErrorInfo"}
    assert "'acme'" in later.details() and "requests per minute" in later.details()


async def test_resident_quota_makes_budgets_smaller_before_it_refuses(routers):
    await routers.create(max_resident_kv_tokens=300, min_budget_tokens=100)
    small = await routers.answer(routers.first)
    error = await refusal(
        routers.answer(routers.first, sampling=generation_pb2.SamplingParams(max_new_tokens=250), kv=WHOLE)
    )
    assert (small.decision.rule, small.decision.granted_tokens) == ("resident_quota", 298)
    assert error.code() == StatusCode.RESOURCE_EXHAUSTED and details(error) == {"QuotaFailure", "ErrorInfo"}


async def test_what_a_router_that_is_killed_held_of_a_quota_comes_back(start_runtime, start_router, redis_server):
    runtime = start_runtime(tokens_per_second=20)
    known = {"ROUTER_REDIS_URL": redis_server.url, "ROUTER_QUOTA_LEASE_SECONDS": 1}
    killed, survivor = (start_router(runtime.target, **known) for _ in range(2))
    async with Client(killed.target) as first, Client(survivor.target) as second:
        await first.ready()
        await second.ready()
        both = Routers(first, second)
        await both.create("default", max_concurrent_requests=1)
        await until(lambda: both.limit(first), bool)
        await until(lambda: both.limit(second), bool)
        await long_call(first)
        refused = await refusal(second.answer(generate_request(new_tokens=1)))
        killed.kill()

        async def served() -> bool:
            try:
                await second.answer(generate_request(new_tokens=1))
            except grpc.aio.AioRpcError:
                return False
            return True

        await until(served, bool)
    assert "concurrent requests" in refused.details()


def details(error: grpc.aio.AioRpcError) -> set[str]:
    status = rpc_status.from_call(error)
    assert status is not None
    return {detail.type_url.rpartition(".")[2] for detail in status.details}
