"""The store of budget policies on real servers: whatever is done to it, it answers as one in memory does."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from router.tenants.redis_store import PolicyStoreLimits, open_policy_store
from router.tenants.store import AuditEntry, Change, Observation, PolicyStore, StoredPolicy
from services.shared.redis.errors import StoreError
from services.shared.redis.options import RedisOptions
from tests.fakes import MemoryPolicyStore
from tests.redis_servers import SERVERS, RedisServer, server_program

tenants = st.sampled_from(["cluster", "acme", "beta@x"])
contents = st.sampled_from(['{"limits":{"min_budget_tokens":7}}', "{}", "no\npolicy", "ünï"])
# mostly what is true
etags = st.sampled_from([None, None, None, "", "1-00000000", "nonsense"])
bases = st.sampled_from([None, None, None, None, 0, 3])


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(server_program(request.param), tmp_path_factory.mktemp("redis"), appendonly="no")
    yield server
    server.kill()


@pytest.fixture
def empty(server: RedisServer) -> RedisServer:
    with server.client() as client:
        client.flushall()
    return server


class Comparison(RuleBasedStateMachine):
    """Each rule does the same to both stores and compares what they answer, or how they refuse."""

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        with self.server.client() as client:
            client.flushall()
        self.opened = open_policy_store(RedisOptions(self.server.url))
        self.store = self.loop.run(self.opened.__aenter__())
        self.model = self.loop.run(_memory())

    def teardown(self) -> None:
        self.loop.run(self.opened.__aexit__(None, None, None))
        self.loop.close()

    @rule(tenant=tenants, content=contents | st.none(), etag=etags, base=bases)
    def write(self, tenant: str, content: str | None, etag: str | None, base: int | None) -> None:
        snapshot = self.loop.run(self.model.snapshot())
        stored = snapshot.get(tenant)
        seen = (stored.etag if stored else "") if etag is None else etag
        action = "delete" if content is None else "update"
        # a deletion has an etag, or it would not be asked for
        if content is None and not seen:
            seen = "1-00000000"
        change = Change(tenant, content, seen, snapshot.generation if base is None else base, "root", action)
        self.both(lambda store: _applied(store, change))

    @rule(content=contents)
    def seed(self, content: str) -> None:
        self.both(lambda store: store.seed({"cluster": content, "acme": "{}"}, "seed"))

    @rule(limit=st.integers(1, 5), tenant=tenants | st.none())
    def audit(self, limit: int, tenant: str | None) -> None:
        self.both(lambda store: _audit(store, limit, tenant))

    @rule(router=st.sampled_from(["a", "b"]), problem=st.sampled_from(["", "it is away; \n"]))
    def observe(self, router: str, problem: str) -> None:
        self.both(lambda store: _observed(store, Observation(router, 3, "redis", problem)))

    @invariant()
    def they_hold_the_same(self) -> None:
        self.both(_everything)

    def both(self, ask: Any) -> None:
        real, expected = (self.loop.run(_outcome(ask(store))) for store in (self.store, self.model))
        assert real == expected


async def _memory() -> MemoryPolicyStore:
    return MemoryPolicyStore()


async def _outcome(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await call
    except StoreError as error:
        # each says it in its own words
        return type(error)


async def _applied(store: PolicyStore, change: Change) -> StoredPolicy | None:
    stored = await store.apply(change)
    return replace(stored, time_ms=0) if stored else None


async def _audit(store: PolicyStore, limit: int, tenant: str | None) -> list[AuditEntry]:
    """All pages, without what is each store's own."""
    found: list[AuditEntry] = []
    while page := await store.audit(found[-1].number if found else "", limit, tenant):
        assert len(page) <= limit
        found += page
    return [replace(entry, number="", time_ms=0) for entry in found]


async def _observed(store: PolicyStore, observation: Observation) -> Any:
    await store.observe(observation)
    return [replace(seen, time_ms=0) for seen in await store.observations()]


async def _everything(store: PolicyStore) -> Any:
    snapshot = await store.snapshot()
    assert await store.generation() == snapshot.generation
    return snapshot.generation, [(replace(s, time_ms=0), s.etag) for s in snapshot.policies]


def test_redis_answers_as_memory_does(server: RedisServer) -> None:
    machine = type("OnServer", (Comparison,), {"server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            # a failing run is printed as it was: to shrink it takes longer than a test may
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


async def test_of_writes_with_one_etag_one_is_done(empty):
    async with open_policy_store(RedisOptions(empty.url)) as store:
        first = await _applied(store, Change("acme", "{}", "", 0, "root", "create"))
        assert first
        changes = [Change("acme", f'{{"n":{n}}}', first.etag, 1, f"root {n}", "update") for n in range(8)]
        done = await asyncio.gather(*(_outcome(store.apply(change)) for change in changes))
        written = [stored for stored in done if isinstance(stored, StoredPolicy)]
        assert len(written) == 1 and (await store.snapshot()).policies == tuple(written)
        assert [entry.after for entry in await store.audit("", 10)] == [written[0].content, "{}"]


async def test_streams_are_capped_and_a_silent_router_is_forgotten(empty):
    limits = PolicyStoreLimits(max_events=10, max_audit_entries=10, forget_router_seconds=0.2)
    async with open_policy_store(RedisOptions(empty.url), limits) as store:
        await store.observe(Observation("silent", 0, "redis", ""))
        stored = await store.apply(Change("acme", "{}", "", 0, "root", "create"))
        for number in range(1, 400):
            assert stored
            stored = await store.apply(Change("acme", "{}", stored.etag, number, "root", "update"))
        await asyncio.sleep(0.3)
        await store.observe(Observation("talking", 0, "redis", ""))
        assert [seen.router for seen in await store.observations()] == ["talking"]
        # whole blocks are trimmed
        assert 10 <= len(await store.audit("", 1000)) < 250


async def test_a_write_wakes_who_waits(empty):
    async with open_policy_store(RedisOptions(empty.url)) as store:
        position = await store.position()
        assert await store.changes(position, 0.05) == position
        waiting = asyncio.create_task(store.changes(position, 30))
        await store.apply(Change("acme", "{}", "", 0, "root", "create"))
        assert await asyncio.wait_for(waiting, 10) == await store.position() != position


def test_what_is_kept_lies_in_one_slot(empty):
    async def write() -> None:
        async with open_policy_store(RedisOptions(empty.url)) as store:
            await store.apply(Change("acme", "{}", "", 0, "root", "create"))
            await store.observe(Observation("a", 1, "redis", ""))

    asyncio.run(write())
    with empty.client() as client:
        keys = sorted(client.keys())
    assert keys == [b"{tenants}:audit", b"{tenants}:events", b"{tenants}:policies", b"{tenants}:routers"]
