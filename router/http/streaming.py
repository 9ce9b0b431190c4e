"""Answers as server-sent events: bounded in what they wait for, and never silent for long."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from router.http.exchange import Exchange

logger = structlog.get_logger()

PING = b": still at it\n\n"
HEADERS = {
    "cache-control": "no-cache",
    # gateways would hold back what they have not got all of
    "x-accel-buffering": "no",
}


@dataclass(frozen=True)
class Pace:
    """How long a stream is silent at most, and how long its client may leave it unread."""

    ping_seconds: float
    write_seconds: float


class Unread(Exception):
    """The client does not take what is sent to it."""


class EventStream(Response):
    """Sends `frames`. What fails before the first one is an answer with its own status, and later an event.

    The head is sent with the first frame, or with the first ping, where a prompt takes longer than that.
    """

    media_type = "text/event-stream"

    def __init__(self, frames: AsyncGenerator[bytes, None], exchange: Exchange, pace: Pace) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(HEADERS)
        self._frames = frames
        self._exchange = exchange
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(with_pings(self._frames, self._pace.ping_seconds)) as frames:
            try:
                await self._send_all(frames, send)
            except Unread:
                logger.warning("client does not read", request_id=self._exchange.request_id)
            except Exception as error:
                failure = self._exchange.fail(error)
                if self._exchange.begun:
                    await self._write(send, failure.event(), more=False)
                else:
                    await failure.response()(scope, receive, send)

    async def _send_all(self, frames: AsyncIterator[bytes], send: Send) -> None:
        async for frame in frames:
            if not self._exchange.begun:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._write(send, frame)
        await self._write(send, b"", more=False)

    async def _write(self, send: Send, body: bytes, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._pace.write_seconds):
                await send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError as error:
            raise Unread from error


async def with_pings(frames: AsyncGenerator[bytes, None], seconds: float) -> AsyncGenerator[bytes, None]:
    """`frames`, and a comment whenever there was none for `seconds`. Closing this closes `frames`."""
    waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
    # one task from end to end, as what makes the frames may hold what belongs to a task, a timeout, say
    pumping = asyncio.create_task(_pump(frames, waiting))
    pumping.add_done_callback(lambda _: waiting.put_nowait(None))
    try:
        while True:
            try:
                async with asyncio.timeout(seconds):
                    frame = await waiting.get()
            except TimeoutError:
                yield PING
                continue
            if frame is None:
                break
            yield frame
            waiting.task_done()
        await pumping
    finally:
        pumping.cancel()
        await asyncio.gather(pumping, return_exceptions=True)


async def _pump(frames: AsyncGenerator[bytes, None], waiting: asyncio.Queue[bytes | None]) -> None:
    async with aclosing(frames):
        async for frame in frames:
            waiting.put_nowait(frame)
            # the next one is not asked for before this one is written
            await waiting.join()
