"""The `Generate` calls in flight."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.runtime.backends.base import EngineOutput
from services.runtime.coalesce import Coalescer
from services.runtime.messages import join
from services.shared.errors import AlreadyExists, Unavailable


class Calls:
    """Knows each call by its request id, refuses new ones while draining, and can end them all."""

    def __init__(self, coalesce_seconds: float) -> None:
        self.draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._coalesce_seconds = coalesce_seconds
        self._streams: dict[str, Coalescer[EngineOutput]] = {}

    @property
    def in_flight(self) -> int:
        return len(self._streams)

    @contextmanager
    def enter(self, request_id: str) -> Iterator[Coalescer[EngineOutput]]:
        """The stream of a new call. Raises Unavailable while draining, AlreadyExists for an id in flight."""
        if self.draining:
            raise Unavailable("this runtime is draining; send the request to another one")
        if request_id in self._streams:
            raise AlreadyExists("request_id", request_id, "is in flight; leave it empty or choose another")
        stream: Coalescer[EngineOutput] = Coalescer(join, self._coalesce_seconds)
        self._streams[request_id] = stream
        self._idle.clear()
        try:
            yield stream
        finally:
            del self._streams[request_id]
            if not self._streams:
                self._idle.set()

    async def drain(self) -> None:
        """Refuse new calls, and wait until those in flight are over."""
        self.draining = True
        await self._idle.wait()

    def end_all(self, sentence: str) -> None:
        """End every call with Unavailable, for the engine is gone."""
        for stream in self._streams.values():
            stream.fail(Unavailable(sentence))
