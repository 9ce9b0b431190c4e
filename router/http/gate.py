"""What stands before the routes: who calls, how much may come, and what happens when somebody leaves early."""

import asyncio
from collections.abc import Awaitable

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.http.errors import HttpError
from router.http.exchange import Exchange
from router.identity import CallerResolver
from router.request_record import Requests
from services.shared.errors import ServiceError, Unavailable

logger = structlog.get_logger()

PREFIX = "/v1/"
BODY_SECONDS = 60.0
# of an address of IPv4 that came to a socket of IPv6
MAPPED = "::ffff:"


class Gone(Exception):
    """The client left before its request was complete."""


class Gate:
    """Runs `app` for each request, and cancels it once when the client leaves or the process has no more time."""

    def __init__(self, app: ASGIApp, callers: CallerResolver, requests: Requests, max_body_bytes: int) -> None:
        self._app = app
        self._callers = callers
        self._requests = requests
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        exchange = Exchange.of(scope, self._requests)
        sender = exchange.sender(send)
        try:
            await self._pass(exchange, scope, receive, sender)
        except Gone:
            pass
        except (ServiceError, HttpError) as error:
            await exchange.fail(error).response()(scope, receive, sender)
        finally:
            if scope["method"] == "POST":
                exchange.record.finish(exchange.status)

    async def _pass(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        host = scope["client"][0] if scope.get("client") else ""
        exchange.caller = self._callers.resolve(exchange.headers, host.removeprefix(MAPPED))
        exchange.record.tenant = exchange.caller.tenant
        try:
            body = await self._body(exchange, receive)
            exchange.complete()
            await _until_gone(self._app(scope, _once(body), send), receive, exchange)
        except asyncio.CancelledError:
            # said to a client that waits; what has ended has ended
            error = Unavailable("this router is shutting down; send the request again")
            await _cut_short(exchange, error, scope, receive, send)

    async def _body(self, exchange: Exchange, receive: Receive) -> bytes:
        declared = exchange.headers.get("content-length", "")
        if declared.isdecimal():
            self._check_size(int(declared))
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._read(receive)
        except TimeoutError as error:
            sentence = f"the request's body did not come within {BODY_SECONDS:g} s; send it again"
            raise HttpError(408, sentence, "request_timeout") from error

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            body += message.get("body", b"")
            self._check_size(len(body))
            if not message.get("more_body", False):
                return bytes(body)

    def _check_size(self, size: int) -> None:
        if size > self._max_body_bytes:
            sentence = f"request: {size} bytes or more, the limit is {self._max_body_bytes}; send a shorter prompt"
            raise HttpError(413, sentence, "request_too_large")


async def _until_gone(work: Awaitable[None], receive: Receive, exchange: Exchange) -> None:
    """Run `work` to its end, or until the client leaves."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if exchange.ended:
            # the server says so of a client that has its answer, too; what is behind the answer still ends by itself
            await asyncio.wait((working,))
    finally:
        working.cancel()
        leaving.cancel()
        ended, _ = await asyncio.gather(working, leaving, return_exceptions=True)
    if isinstance(ended, Exception):
        _log_unanswered(ended, exchange)


def _log_unanswered(error: Exception, exchange: Exchange) -> None:
    # an answered one is in the log already
    if not exchange.ended:
        logger.error("unhandled error", exc_info=error)


async def _cut_short(exchange: Exchange, error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    if exchange.ended:
        return
    failure = exchange.fail(error)
    if not exchange.begun:
        await failure.response()(scope, receive, send)
    elif exchange.streams:
        await send({"type": "http.response.body", "body": failure.event()})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _once(body: bytes) -> Receive:
    """A `receive` that has the whole body, and nothing behind it: who leaves is watched for elsewhere."""
    waiting = [body]

    async def receive() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive
