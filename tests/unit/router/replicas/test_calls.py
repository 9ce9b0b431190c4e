"""A call that waits for its replica may be given up; one that waits for its client goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from protos.generation.v1 import generation_pb2
from router.replicas.calls import Call, ReplicaHangs

CHUNK = generation_pb2.GenerateResponse(chunk=generation_pb2.GenerateChunk(token_ids=[1]))


class Stream:
    """Says one thing, and then nothing; a cancelled one cancels who waits for it, as gRPC's does."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[generation_pb2.GenerateResponse]:
        yield CHUNK
        await self.cancelled.wait()
        raise asyncio.CancelledError

    def cancel(self) -> bool:
        self.cancelled.set()
        return True

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        raise NotImplementedError


async def read(call: Call, seen: list[generation_pb2.GenerateResponse]) -> None:
    async for response in call.responses():
        seen.append(response)


async def started() -> tuple[Call, Stream, asyncio.Task[None]]:
    stream = Stream()
    seen: list[generation_pb2.GenerateResponse] = []
    call = Call(stream)
    reading = asyncio.create_task(read(call, seen))
    for _ in range(5):
        await asyncio.sleep(0)
    assert seen
    return call, stream, reading


async def test_one_that_waits_for_its_replica_is_given_up_with_the_reason():
    call, _, reading = await started()
    assert call.silent_seconds() > 0
    call.give_up("nothing came")
    with pytest.raises(ReplicaHangs, match="nothing came"):
        await reading
    assert call.silent_seconds() == 0


async def test_one_whose_client_is_slow_is_not_given_up():
    stream = Stream()
    call = Call(stream)
    responses = call.responses()
    await anext(responses)
    assert call.silent_seconds() == 0
    call.give_up("nothing came")
    assert not stream.cancelled.is_set()
    await responses.aclose()


async def test_a_task_that_is_cancelled_stays_cancelled():
    call, stream, reading = await started()
    call.give_up("nothing came")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert stream.cancelled.is_set()


async def test_a_client_that_wants_no_more_hears_of_no_hanging_replica():
    call, _, reading = await started()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
