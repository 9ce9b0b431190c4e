"""Routers that follow one Redis: how soon, and what they go by while it is away or damaged."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode
from grpc.aio import AioRpcError

from protos.router.v1 import tenant_budget_pb2 as pb
from router.tenants.build import policy_store_options
from router.tenants.redis_store import POLICIES, open_policy_store
from tests.budget_api import BudgetApi, budget_api
from tests.integration.clients import until
from tests.integration.registry_client import refusal
from tests.redis_servers import SERVERS, RedisServer, server_program

BOUND_SECONDS = 2.0


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(server_program(request.param), tmp_path)
    yield server
    server.kill()


def starting(server: RedisServer, name: str = "router-1", **settings: Any) -> Any:
    options = policy_store_options(server.url, None, None, None)
    assert options
    return budget_api(partial(open_policy_store, options), router=name, **settings)


@asynccontextmanager
async def router(server: RedisServer, name: str = "router-1", **settings: Any) -> AsyncIterator[BudgetApi]:
    async with starting(server, name, **settings) as api:
        await api.feed.wait_ready()
        yield api


async def at(api: BudgetApi, generation: int) -> None:
    async def ask() -> int:
        return api.table.generation

    await until(ask, lambda found: found == generation)


def cap(api: BudgetApi, tenant: str = "acme") -> int | None:
    return api.table.effective(tenant, "m").limits.max_budget_tokens


async def test_every_router_goes_by_a_write_within_two_seconds_and_tells_its_generation(server):
    # events alone: no look at the store comes in time
    async with router(server, "a", poll_seconds=60.0) as one, router(server, "b", poll_seconds=60.0) as two:
        started = time.monotonic()
        made = await one.create("acme", max_budget_tokens=100)
        assert cap(one) == 100
        await at(two, 1)
        await two.update(made, max_budget_tokens=200)
        await at(one, 2)
        assert time.monotonic() - started < 2 * BOUND_SECONDS
        assert cap(one) == cap(two) == 200

        async def status() -> Any:
            return await one.call("GetPolicyStatus", pb.GetPolicyStatusRequest())

        found = await until(status, lambda found: {r.observed_generation for r in found.routers} == {2})
        assert sorted(r.router for r in found.routers) == ["a", "b"]
        assert {r.source for r in found.routers} == {"redis"} and found.router.router == "a"


async def test_two_administrators_with_one_etag_one_is_aborted(server):
    async with router(server, "a") as one, router(server, "b") as two:
        made = await one.create("acme", weight=1.0)
        calls = [api.update(made, weight=float(n)) for n, api in enumerate((one, two, one, two), start=2)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = [result for result in results if isinstance(result, AioRpcError)]
        assert len(refused) == 3 and {error.code() for error in refused} == {StatusCode.ABORTED}


async def test_writes_of_different_tenants_at_one_moment_are_all_done(server):
    async with router(server) as api:
        await asyncio.gather(*(api.create(f"tenant-{n}", weight=1.0) for n in range(6)))
        await at(api, 6)
        assert len(api.table.policies) == 6


async def test_redis_may_be_away_and_come_back(server):
    async with router(server, fresh_seconds=0.5, max_age_seconds=1.0) as api:
        made = await api.create("acme", max_budget_tokens=100)
        server.kill()

        async def source() -> str:
            return api.table.source

        await until(source, lambda found: found == "last_known")
        assert cap(api) == 100 and api.table.ready

        async def problem() -> str:
            return api.table.problem

        assert "as of" in await until(problem, lambda found: "does not answer" in found)
        away = await refusal(api.update(made, max_budget_tokens=200))
        status = await api.call("GetPolicyStatus", pb.GetPolicyStatusRequest())

        async def fresh() -> bool:
            return api.states[-1]

        await until(fresh, lambda found: not found)
        await asyncio.to_thread(server.start)
        await until(source, lambda found: found == "redis")
        await until(fresh, bool)
        await api.update(made, max_budget_tokens=200)
        assert cap(api) == 200
    assert away.code() == StatusCode.UNAVAILABLE
    assert status.router.source == "last_known" and "does not answer" in status.router.problem


async def test_a_redis_that_hangs_is_noticed(server):
    async with router(server, fresh_seconds=0.5) as api:
        await api.create("acme", max_budget_tokens=100)
        server.pause()
        try:

            async def source() -> str:
                return api.table.source

            await until(source, lambda found: found == "last_known")
            assert cap(api) == 100
        finally:
            server.resume()
        await until(source, lambda found: found == "redis")


async def test_what_somebody_wrote_by_hand_is_no_limit_lost_and_can_be_mended(server):
    async with router(server) as api:
        made = await api.create("acme", max_budget_tokens=100)
        with server.client() as client:
            client.hset(POLICIES, "acme", b"\xffnonsense")
            client.hset(POLICIES, "beta", "1 2 token root\n" + json.dumps({"limits": {"max_tokens": 1}}))
        # an event, so that it is read
        await api.create("other", weight=1.0)
        assert cap(api) == 100
        assert "tenants/acme" in api.table.problem and "tenants/beta" in api.table.problem
        damaged = await refusal(api.get("acme"))
        listed = await refusal(api.call("ListTenantBudgets", pb.ListTenantBudgetsRequest()))
        asked = await refusal(
            api.call("GetEffectiveBudget", pb.GetEffectiveBudgetRequest(tenant="beta", prompt_tokens=1))
        )
        etag = damaged.details().rpartition("with etag ")[2].strip("'")
        seen = pb.TenantBudget(name=made.name, etag=etag)
        partly = await refusal(api.update(seen, "limits.weight", weight=1.0))
        await api.update(seen, max_budget_tokens=300)
        assert cap(api) == 300
    assert {damaged.code(), listed.code()} == {StatusCode.DATA_LOSS}
    assert asked.code() == partly.code() == StatusCode.FAILED_PRECONDITION


async def test_routers_that_start_together_write_the_seed_once(server, tmp_path):
    seed = tmp_path / "seed.yaml"
    seed.write_text("cluster: {limits: {min_budget_tokens: 128}}\ntenants: {acme: {limits: {max_budget_tokens: 2048}}}")
    async with starting(server, "a", seed_path=seed) as one, starting(server, "b", seed_path=seed) as two:
        for api in (one, two):
            await at(api, 2)
        writes = (await one.call("ListBudgetWrites", pb.ListBudgetWritesRequest())).writes
    assert [(write.author, write.action) for write in writes] == [("seed file", "import")] * 2
