"""Fewer, larger messages: what gets ready close together is joined."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Coalescer(Generic[T]):
    """Reads one source ahead of its reader and joins what the reader has not taken yet, so at most one item waits.

    The first item goes out at once, each later one at least `seconds` after the one before, the last one at once.
    """

    def __init__(self, join: Callable[[T, T], T], seconds: float) -> None:
        self._join = join
        self._seconds = seconds
        self._waiting: list[T] = []
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """End the stream: its reader gets `error` instead of what is still to come."""
        self._error = error
        self._end()

    async def read(self, source: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The items of `source`, joined. Closing this closes `source` too; what `source` raises is raised here."""
        pump = asyncio.create_task(self._fill(source))
        pump.add_done_callback(lambda _: self._end())
        try:
            while await self._ready.wait() and not self._error and self._waiting:
                yield self._take()
                await self._pause()
            if self._error:
                raise self._error
            await pump
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _fill(self, source: AsyncGenerator[T, None]) -> None:
        async with aclosing(source) as items:
            async for item in items:
                self._waiting = [self._join(self._waiting[0], item)] if self._waiting else [item]
                self._ready.set()

    def _take(self) -> T:
        item = self._waiting.pop()
        if not self._ended.is_set():
            self._ready.clear()
        return item

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._ended.wait()

    def _end(self) -> None:
        self._ended.set()
        self._ready.set()
