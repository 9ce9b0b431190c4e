"""Replicas come and go."""

import asyncio
import time
from collections.abc import AsyncGenerator

import grpc

from protos.generation.v1 import generation_pb2
from router.replicas.members import Members
from router.replicas.pool import PoolSettings, ReplicaPool
from services.shared.lifecycle import background
from tests.integration.clients import until
from tests.unit.router.replicas.test_pool import ScriptedRuntime

REQUEST = generation_pb2.GenerateRequest()


class Told:
    """Tells what a test puts into it."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    async def targets(self) -> AsyncGenerator[frozenset[str], None]:
        while True:
            yield await self.queue.get()


class Closing(ScriptedRuntime):
    """Notes that it was closed."""

    closed = False

    async def close(self) -> None:
        self.closed = True


async def test_one_that_has_gone_finishes_what_it_has_and_then_its_connection_is_closed():
    told, runtimes = Told(), {}
    pool = ReplicaPool(settings=PoolSettings(poll_seconds=0.001))

    def connect(target: str) -> Closing:
        runtimes[target] = Closing(target)
        return runtimes[target]

    async def known() -> set[str]:
        return {replica.target for replica in pool.replicas if replica.usable}

    async with background(Members(pool, told, connect).follow()):  # type: ignore[arg-type]
        told.queue.put_nowait(frozenset({"a:1", "b:1"}))
        await until(known, lambda found: found == {"a:1", "b:1"})
        (leaving,) = (replica for replica in pool.replicas if replica.target == "a:1")
        call = leaving.generate(REQUEST, None)
        told.queue.put_nowait(frozenset({"b:1", "c:1"}))
        await until(known, lambda found: found == {"b:1", "c:1"})
        assert not runtimes["a:1"].closed
        call.cancel()
        await until(lambda: _value(runtimes["a:1"].closed), bool)
        # it may come back
        told.queue.put_nowait(frozenset({"a:1"}))
        await until(known, lambda found: found == {"a:1"})
    assert all(runtime.closed for runtime in runtimes.values())


async def test_one_that_hangs_when_it_has_gone_is_not_waited_for():
    told, leaving = Told(), Closing("a:1")
    pool = ReplicaPool(settings=PoolSettings(poll_seconds=0.001))

    async def usable() -> bool:
        return pool.usable

    async with background(Members(pool, told, lambda target: leaving).follow()):  # type: ignore[arg-type,return-value]
        told.queue.put_nowait(frozenset({"a:1"}))
        await until(usable, bool)
        call = pool.replicas[0].generate(REQUEST, None)
        # it is read, and nothing comes
        call._waiting_since = time.monotonic()
        told.queue.put_nowait(frozenset())
        await until(usable, lambda found: not found)
        leaving.error = grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: _value(leaving.closed), bool)
    assert call._given_up


async def _value(value: bool) -> bool:
    return value
