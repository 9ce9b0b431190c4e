"""The requests that this router has taken on and not yet finished."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.shared.errors import Unavailable


class InFlight:
    """Counts requests, and takes on no more once it drains."""

    def __init__(self) -> None:
        self._count = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """One request, from here to the end of the block. Raises Unavailable while draining."""
        if self._draining:
            raise Unavailable("this router is shutting down; send the request to another one")
        self._count += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._idle.set()

    async def drain(self) -> None:
        """Take on nothing more, and wait until everything is finished."""
        self._draining = True
        await self._idle.wait()
