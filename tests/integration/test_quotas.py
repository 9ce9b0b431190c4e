"""Quotas of several routers on one real Redis or Valkey, and what they do when it hangs, dies or loses its data."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from router.admission.base import Claim
from router.admission.build import QuotaSettings, build_quotas
from router.admission.redis_quotas import RedisQuotas
from router.budgets.limits import Limits
from services.shared.errors import ResourceExhausted
from services.shared.lifecycle import background
from services.shared.redis.options import RedisOptions
from tests.integration.clients import until
from tests.redis_servers import SERVERS, RedisServer, server_program

TENANTS = count()
QUICK = QuotaSettings(lease_seconds=0.5, probe_seconds=0.05)
ONE_AT_ONCE = Limits(max_concurrent_requests=1)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(server_program(request.param), tmp_path_factory.mktemp("quotas"), appendonly="no")
    yield server
    server.kill()


def claim(limits: Limits, tenant: str = "a", tokens: int = 10, kv: int = 10, least: int = 10) -> Claim:
    return Claim(tenant, limits, tokens, kv, least)


def new_tenant() -> str:
    return f"tenant-{next(TENANTS)}"


@asynccontextmanager
async def router(server: RedisServer, timing: QuotaSettings = QUICK, routers: int = 1) -> AsyncIterator[RedisQuotas]:
    quotas = build_quotas(RedisOptions(server.url), timing, lambda: routers)
    async with background(quotas.follow()):
        await reached(quotas)
        yield quotas


async def now(answer):
    return answer()


async def nothing_left(server: RedisServer, tenant: str) -> None:
    await until(lambda: now(lambda: leftover(server, tenant)), lambda left: left == (0, 0, 0))


async def reached(quotas: RedisQuotas, yes: bool = True) -> None:
    await until(lambda: now(lambda: quotas.shared), lambda shared: shared == yes)


async def refusal(quotas: RedisQuotas, of: Claim) -> ResourceExhausted:
    with pytest.raises(ResourceExhausted) as raised:
        async with quotas.hold(of):
            pass
    return raised.value


def leftover(server: RedisServer, tenant: str) -> tuple[int, int, int]:
    """Leases, their ends, and KV tokens that Redis still counts."""
    with server.client() as client:
        leases, ends = client.hlen(f"quota:{{{tenant}}}:leases"), client.zcard(f"quota:{{{tenant}}}:ends")
        return leases, ends, int(client.hget(f"quota:{{{tenant}}}:state", "kv") or 0)


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 60), st.integers(0, 60), st.booleans(), st.sampled_from("eces")),
    min_size=5,
    max_size=25,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, at_once=st.integers(1, 4), kv_limit=st.integers(60, 150), rate=st.integers(60, 400))
def test_no_quota_is_exceeded_by_routers_that_work_at_once(server, steps, at_once, kv_limit, rate):
    limits = Limits(
        max_concurrent_requests=at_once,
        max_resident_kv_tokens=kv_limit,
        tokens_per_minute=rate,
        requests_per_minute=12,
    )
    asyncio.run(work_at_once(server, limits, steps))


async def work_at_once(server: RedisServer, limits: Limits, steps) -> None:
    scene = Scene(limits, new_tenant())
    async with AsyncExitStack() as stack:
        routers = [await stack.enter_async_context(router(server, QuotaSettings(wait_seconds=5.0))) for _ in range(3)]
        for which, need, least, settles, then in steps:
            scene.begin(routers[which], need, least, settles)
            if then == "e":
                scene.ends[need % len(scene.ends)].set()
            elif then == "c":
                scene.tasks[need % len(scene.tasks)].cancel()
            else:
                await asyncio.sleep(0.002)
        outcomes = await scene.end()
        expected = ResourceExhausted | asyncio.CancelledError | None
        assert [outcome for outcome in outcomes if not isinstance(outcome, expected)] == []
        # what came to Redis behind the last word of a cancelled one ends with its lease
        await nothing_left(server, scene.tenant)


class Scene:
    """Requests of one tenant, and what they hold."""

    def __init__(self, limits: Limits, tenant: str) -> None:
        self.limits, self.tenant, self.began = limits, tenant, time.monotonic()
        self.tasks: list[asyncio.Task[None]] = []
        self.ends: list[asyncio.Event] = []
        self.running: dict[int, int] = {}
        self.charged: list[int] = []

    def begin(self, quotas: RedisQuotas, need: int, least: int, settles: bool) -> None:
        end = asyncio.Event()
        number = len(self.ends)
        self.ends.append(end)
        self.tasks.append(asyncio.create_task(self._serve(number, quotas, need, min(least, need), settles, end)))

    async def end(self) -> list[BaseException | None]:
        for end in self.ends:
            end.set()
        return await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(
        self, number: int, quotas: RedisQuotas, need: int, least: int, settles: bool, end: asyncio.Event
    ) -> None:
        async with quotas.hold(claim(self.limits, self.tenant, need, need, least)) as lease:
            granted = lease.granted_kv_tokens or 0
            self.running[number] = granted
            self.charged.append(need)
            try:
                assert least <= granted <= need
                self._check()
                await end.wait()
                if settles:
                    lease.used_tokens = need // 2
                    self.charged.append(need // 2 - need)
            finally:
                del self.running[number]

    def _check(self) -> None:
        limits, minutes = self.limits, (time.monotonic() - self.began) / 60
        assert len(self.running) <= (limits.max_concurrent_requests or 0)
        assert sum(self.running.values()) <= (limits.max_resident_kv_tokens or 0)
        assert sum(self.charged) <= (limits.tokens_per_minute or 0) * (1 + minutes) + 1
        assert sum(need > 0 for need in self.charged) <= (limits.requests_per_minute or 0) * (1 + minutes)


async def test_a_refusal_names_the_limit_and_the_wait(server):
    limits, tenant = Limits(tokens_per_minute=60), new_tenant()
    async with router(server) as quotas:
        async with quotas.hold(claim(limits, tenant, tokens=60)):
            error = await refusal(quotas, claim(limits, tenant, tokens=10))
    assert (error.reason, error.metadata) == ("TOKENS_PER_MINUTE", {"tenant": tenant, "limit": "60"})
    assert 9 < (error.retry_after_seconds or 0) <= 10


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(tokens_per_minute=9), "TOKENS_PER_MINUTE"),
        (Limits(max_resident_kv_tokens=9), "RESIDENT_KV_TOKENS"),
        (Limits(max_concurrent_requests=0), "CONCURRENT_REQUESTS"),
    ],
)
async def test_a_request_above_the_limit_alone_is_not_told_to_wait(server, limits, reason):
    async with router(server) as quotas:
        error = await refusal(quotas, claim(limits))
    assert (error.reason, error.retry_after_seconds) == (reason, None)


async def test_a_tenant_without_limits_costs_redis_nothing(server):
    tenant = new_tenant()
    async with router(server) as quotas, quotas.hold(claim(Limits(), tenant)) as lease:
        with server.client() as client:
            assert (lease.granted_kv_tokens, client.keys(f"quota:{{{tenant}}}*")) == (None, [])


async def test_a_command_that_is_sent_twice_counts_once(server):
    tenant = new_tenant()
    keys = tuple(f"quota:{{{tenant}}}:{part}" for part in ("state", "leases", "ends"))
    async with router(server) as quotas:
        for _ in range(2):
            answer = await quotas._circuit.script("reserve", keys, "x", 9000, 60, 50, 5, 100, 100, 1, 80, 1000)
            assert answer == ["granted", "50"]
        assert leftover(server, tenant) == (1, 1, 50)
        for _ in range(2):
            await quotas._circuit.script("release", keys, 20, "x")
        with server.client() as client:
            assert float(client.hget(keys[0], "tokens")) == pytest.approx(20, abs=1)
    assert leftover(server, tenant) == (0, 0, 0)


async def test_a_router_that_crashed_keeps_its_leases_no_longer_than_they_last(server):
    tenant, stack = new_tenant(), AsyncExitStack()
    async with router(server) as survivor:
        async with router(server) as crashed:
            await stack.enter_async_context(crashed.hold(claim(ONE_AT_ONCE, tenant)))
            # it is still renewed beyond its first end
            await asyncio.sleep(2 * QUICK.lease_seconds)
            assert (await refusal(survivor, claim(ONE_AT_ONCE, tenant))).retry_after_seconds
        # from here on nobody renews it, nor did anybody release it
        assert leftover(server, tenant) == (1, 1, 10)

        await until(lambda: all_at_once(survivor, claim(ONE_AT_ONCE, tenant), 1), bool)
        await nothing_left(server, tenant)
    await stack.aclose()


async def test_nothing_is_left_of_a_tenant_that_is_gone(server):
    tenant = new_tenant()
    async with router(server) as quotas:
        async with quotas.hold(claim(Limits(requests_per_minute=5), tenant)):
            pass
        await nothing_left(server, tenant)
    with server.client() as client:
        lives = [client.ttl(key) for key in client.keys(f"quota:{{{tenant}}}:*")]
    assert lives and all(0 < seconds <= 121 for seconds in lives)


async def test_while_redis_hangs_each_router_enforces_its_share(server):
    limits, tenant = Limits(max_concurrent_requests=4), new_tenant()
    async with router(server, routers=2) as quotas:
        async with quotas.hold(claim(limits, tenant)):
            server.pause()
            try:
                async with quotas.hold(claim(limits, tenant)):
                    assert not quotas.shared
                    assert (await refusal(quotas, claim(limits, tenant))).reason == "CONCURRENT_REQUESTS"
            finally:
                server.resume()
            await reached(quotas)
        # what Redis was told while it hung ends with its lease
        await until(lambda: all_at_once(quotas, claim(limits, tenant), 4), bool)


async def all_at_once(quotas: RedisQuotas, of: Claim, number: int) -> bool:
    try:
        async with AsyncExitStack() as stack:
            for _ in range(number):
                await stack.enter_async_context(quotas.hold(of))
            return True
    except ResourceExhausted:
        return False


async def test_a_redis_that_died_and_lost_all_learns_of_the_leases_that_are_held(server):
    tenant = new_tenant()
    async with router(server) as quotas, router(server) as other:
        async with quotas.hold(claim(ONE_AT_ONCE, tenant)):
            server.kill()
            assert (await refusal(quotas, claim(ONE_AT_ONCE, tenant))).reason == "CONCURRENT_REQUESTS"
            server.start()
            await until(lambda: now(lambda: leftover(server, tenant)), lambda left: left == (1, 1, 10))
            await other.renew()
            await reached(other)
            assert await refusal(other, claim(ONE_AT_ONCE, tenant))
        await nothing_left(server, tenant)


@pytest.mark.parametrize("skew_seconds", [-86_400, 86_400])
async def test_clocks_of_routers_that_differ_change_nothing(server, monkeypatch, skew_seconds):
    limits, tenant = Limits(requests_per_minute=1, max_concurrent_requests=5), new_tenant()
    async with router(server) as right, router(server) as skewed:
        monkeypatch.setattr(time, "time", lambda: 1.7e9 + skew_seconds)
        async with skewed.hold(claim(limits, tenant)):
            error = await refusal(right, claim(limits, tenant))
            # renewed by the skewed one, it is there for the other one
            await asyncio.sleep(2 * QUICK.lease_seconds)
            assert leftover(server, tenant) == (1, 1, 10)
        again = await refusal(skewed, claim(limits, tenant))
    assert 55 < (error.retry_after_seconds or 0) <= 60
    assert 50 < (again.retry_after_seconds or 0) <= 60


async def test_without_redis_a_router_enforces_the_whole_limit_alone():
    quotas = build_quotas(None, QUICK)
    async with background(quotas.follow()), quotas.hold(claim(ONE_AT_ONCE)) as lease:
        assert lease.granted_kv_tokens is None
        assert (await refusal(quotas, claim(ONE_AT_ONCE))).reason == "CONCURRENT_REQUESTS"
    rate = Limits(tokens_per_minute=100, max_resident_kv_tokens=50)
    async with background(quotas.follow()), quotas.hold(claim(rate, "b", tokens=90, kv=80, least=20)) as lease:
        assert lease.granted_kv_tokens == 50
        lease.used_tokens = 30
    # what was not used came back
    async with quotas.hold(claim(rate, "b", tokens=60, kv=20, least=20)) as lease:
        assert lease.granted_kv_tokens == 20
    error = await refusal(quotas, claim(rate, "b", tokens=60))
    assert error.reason == "TOKENS_PER_MINUTE" and (error.retry_after_seconds or 0) > 20


async def test_what_is_held_is_known_to_a_new_redis_before_it_is_asked(server):
    tenant, patient = new_tenant(), QuotaSettings(lease_seconds=600.0, probe_seconds=0.05)
    async with router(server, patient) as quotas, quotas.hold(claim(ONE_AT_ONCE, tenant)):
        server.kill()
        await refusal(quotas, claim(ONE_AT_ONCE, tenant))
        assert not quotas.shared
        server.start()
        await reached(quotas)
        # no renewal is due for minutes
        assert leftover(server, tenant) == (1, 1, 10)


@pytest.mark.parametrize("trouble", ["full", "forbidden"])
async def test_a_redis_that_lets_nothing_be_written_counts_as_gone_for_as_long(server, trouble):
    options, limits = RedisOptions(server.url), Limits(requests_per_minute=100)
    with server.client() as client:
        if trouble == "full":
            client.config_set("maxmemory", 1)
        else:
            client.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">pw", "~{tenants}:*", "+@all")
            options = RedisOptions(server.url, "narrow", "pw")
        quotas = build_quotas(options, QUICK)
        with capture_logs() as logs:
            async with background(quotas.follow()):
                for _ in range(5):
                    async with quotas.hold(claim(limits, "kept-out")):
                        assert not quotas.shared
                    await asyncio.sleep(2 * QUICK.probe_seconds)
                client.config_set("maxmemory", 0)
                client.execute_command("ACL", "SETUSER", "narrow", "~quota:*")
                await reached(quotas)
    assert [log["event"] for log in logs] == ["quota_redis_away", "quota_redis_back"]


async def test_nothing_is_given_back_of_what_was_not_charged(server):
    tenant, limits = new_tenant(), Limits(tokens_per_minute=100)
    async with router(server) as quotas, AsyncExitStack() as stack:
        # from before there was a limit
        free = await stack.enter_async_context(quotas.hold(claim(Limits(requests_per_minute=9), tenant, tokens=80)))
        async with quotas.hold(claim(limits, tenant, tokens=100)):
            free.used_tokens = 0
            await stack.aclose()
            await until(lambda: now(lambda: leftover(server, tenant)), lambda left: left == (1, 1, 10))
            assert (await refusal(quotas, claim(limits, tenant, tokens=80))).reason == "TOKENS_PER_MINUTE"


async def test_a_request_that_is_cancelled_while_it_asks_holds_nothing_for_longer_than_a_lease(server):
    tenant = new_tenant()
    async with router(server, QuotaSettings(lease_seconds=0.5, wait_seconds=5.0)) as quotas:
        for turns in range(20):
            asking = asyncio.create_task(all_at_once(quotas, claim(ONE_AT_ONCE, tenant), 1))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
        await until(lambda: all_at_once(quotas, claim(ONE_AT_ONCE, tenant), 1), bool)
        await nothing_left(server, tenant)
