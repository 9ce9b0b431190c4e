"""Items that get ready close together are joined; nothing is lost, nothing leaks."""

import asyncio
from contextlib import aclosing

import pytest

from services.runtime.coalesce import Coalescer

LONG_SECONDS = 60.0


class Source:
    """Yields what the test puts in, and remembers that it was closed."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self.closed = False

    def put(self, *items):
        for item in items:
            self.queue.put_nowait(item)

    async def items(self):
        try:
            while (item := await self.queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed = True


@pytest.fixture
def source() -> Source:
    return Source()


def coalescer(seconds: float = LONG_SECONDS) -> Coalescer[str]:
    return Coalescer(lambda first, second: first + second, seconds)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_first_item_comes_at_once_and_the_rest_is_joined_when_the_source_ends(source):
    source.put("a", "b", "c", None)
    assert [item async for item in coalescer().read(source.items())] == ["abc"]
    source.put("a")
    async with aclosing(coalescer().read(source.items())) as items:
        assert await anext(items) == "a"
        source.put("b", "c", None)
        assert [item async for item in items] == ["bc"]


async def test_items_within_the_time_share_a_message(source):
    async with aclosing(coalescer(0.05).read(source.items())) as items:
        source.put("a")
        assert await anext(items) == "a"
        source.put("b")
        later = asyncio.create_task(anext(items))
        await settle()
        source.put("c")
        assert await later == "bc"


async def test_no_time_means_no_waiting(source):
    async with aclosing(coalescer(0).read(source.items())) as items:
        for item in "abc":
            source.put(item)
            assert await anext(items) == item


async def test_slow_reader_finds_everything_joined(source):
    async with aclosing(coalescer(0).read(source.items())) as items:
        source.put("a")
        assert await anext(items) == "a"
        for item in "bcdef":
            source.put(item)
            await settle()
        assert await anext(items) == "bcdef"


async def test_error_of_the_source_comes_after_what_it_yielded(source):
    source.put("a", "b", ValueError("broken"))
    received = []
    with pytest.raises(ValueError, match="broken"):
        async for item in coalescer().read(source.items()):
            received.append(item)
    assert received == ["ab"]


async def test_closing_closes_the_source(source):
    source.put("a")
    async with aclosing(coalescer().read(source.items())) as items:
        await anext(items)
    assert source.closed


async def test_cancelling_the_reader_closes_the_source(source):
    async def read() -> None:
        async with aclosing(coalescer().read(source.items())) as items:
            async for _ in items:
                pass

    source.put("a")
    reader = asyncio.create_task(read())
    await settle()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert source.closed


async def test_failing_ends_the_wait_of_the_reader_and_closes_the_source(source):
    coalesced = coalescer()
    source.put("a")
    async with aclosing(coalesced.read(source.items())) as items:
        await anext(items)
        waiting = asyncio.create_task(anext(items))
        await settle()
        coalesced.fail(RuntimeError("the engine died"))
        with pytest.raises(RuntimeError, match="the engine died"):
            await waiting
    assert source.closed


async def test_failing_before_the_first_read_counts(source):
    coalesced = coalescer()
    coalesced.fail(RuntimeError("the engine died"))
    with pytest.raises(RuntimeError, match="the engine died"):
        await anext(coalesced.read(source.items()))
