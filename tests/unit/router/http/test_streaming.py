"""A stream that is silent says that it is alive, and whatever ends it ends what makes it."""

import asyncio
from contextlib import aclosing

import pytest

from router.http.streaming import PING, with_pings

LONG = 60.0


class Frames:
    """Gives `frames` when a test lets it, and notes how it ended."""

    def __init__(self, *frames: bytes, error: Exception | None = None) -> None:
        self.frames, self.error = frames, error
        self.go = asyncio.Event()
        self.asked = 0
        self.end = ""

    async def give(self):
        try:
            for frame in self.frames:
                self.asked += 1
                await self.go.wait()
                yield frame
            if self.error:
                raise self.error
            self.end = "done"
        except asyncio.CancelledError:
            # what settles a request may take a while
            await asyncio.sleep(0)
            self.end = "cancelled"
            raise
        except GeneratorExit:
            self.end = "closed"
            raise


async def test_frames_come_in_order_without_pings_when_none_is_late():
    frames = Frames(b"1", b"2", b"3")
    frames.go.set()
    assert [frame async for frame in with_pings(frames.give(), LONG)] == [b"1", b"2", b"3"]
    assert frames.end == "done"


async def test_a_late_frame_is_preceded_by_pings_and_not_lost():
    frames, seen = Frames(b"1"), []
    async for frame in with_pings(frames.give(), 0.01):
        seen.append(frame)
        if len(seen) == 2:
            frames.go.set()
    assert set(seen[:2]) == {PING}
    assert seen[-1] == b"1"


async def test_the_next_frame_is_asked_for_when_this_one_is_written():
    frames = Frames(b"1", b"2")
    frames.go.set()
    async with aclosing(with_pings(frames.give(), LONG)) as stream:
        await anext(stream)
        await asyncio.sleep(0.01)
        assert frames.asked == 1
        assert await anext(stream) == b"2"


async def test_an_error_comes_behind_the_frames_before_it():
    frames, seen = Frames(b"1", error=ValueError("broken")), []
    frames.go.set()
    with pytest.raises(ValueError, match="broken"):
        async for frame in with_pings(frames.give(), LONG):
            seen.append(frame)
    assert seen == [b"1"]


async def test_leaving_a_stream_ends_what_makes_it_to_its_last_word():
    waiting, written = Frames(b"1"), Frames(b"1", b"2")
    written.go.set()
    reader = asyncio.create_task(anext(with_pings(waiting.give(), LONG)))
    await asyncio.sleep(0.01)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    async with aclosing(with_pings(written.give(), LONG)) as stream:
        await anext(stream)
    assert waiting.end == "cancelled"
    assert written.end in ("cancelled", "closed")
