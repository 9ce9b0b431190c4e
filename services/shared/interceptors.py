"""One place where requests are decoded and errors become gRPC statuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from services.shared.errors import DeadlineExceeded, InvalidArgument, ResourceExhausted, ServiceError, Violation

logger = structlog.get_logger()

# a larger message than this is cut off by gRPC itself, which cannot name the field
TRANSPORT_LIMIT_FACTOR = 8
KEEPALIVE_MS = 20_000
# how long a refused caller may go on sending
DRAIN_SECONDS = 2.0
# how long a caller may take to read
WRITE_SECONDS = 60.0


def server_options(max_message_bytes: int) -> list[tuple[str, int]]:
    """gRPC server options: `ErrorInterceptor` checks sizes, and a caller that has vanished is noticed."""
    return [
        ("grpc.max_receive_message_length", TRANSPORT_LIMIT_FACTOR * max_message_bytes),
        ("grpc.so_reuseport", 0),
        # a request whose caller is gone without a word must not hold KV for long
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
        # a router pings often, and a process that was busy reads several pings at once
        ("grpc.http2.max_ping_strikes", 0),
    ]


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Decodes requests, runs the handler, and answers each `ServiceError` with its status.

    A request that does not decode is INVALID_ARGUMENT, one above `max_message_bytes` RESOURCE_EXHAUSTED.
    A stream whose client does not read for `write_seconds` ends, so that nothing is held for it.
    Anything unexpected is logged in full and answered "internal error".
    """

    def __init__(self, max_message_bytes: int, write_seconds: float = WRITE_SECONDS) -> None:
        self.max_message_bytes = max_message_bytes
        self.write_seconds = write_seconds

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        handler = await continuation(details)
        if handler is None or (handler.request_streaming and handler.response_streaming):
            return handler
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(
                self._upload(handler, details.method), None, handler.response_serializer
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(handler, details.method), None, handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(handler, details.method), None, handler.response_serializer
        )

    def _unary(self, handler: grpc.RpcMethodHandler, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(body: bytes, context: grpc.aio.ServicerContext) -> Any:
            try:
                return await handler.unary_unary(self._decode(handler, body), context)
            except Exception as error:
                await _abort(context, error, method)

        return call

    def _stream(self, handler: grpc.RpcMethodHandler, method: str) -> Callable[..., Awaitable[None]]:
        async def call(body: bytes, context: grpc.aio.ServicerContext) -> None:
            try:
                answer = handler.unary_stream(self._decode(handler, body), context)
                await _send(answer, context, self.write_seconds)
            except Exception as error:
                await _abort(context, error, method)

        return call

    def _upload(self, handler: grpc.RpcMethodHandler, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(bodies: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> Any:
            requests = (self._decode(handler, body) async for body in bodies)
            try:
                return await handler.stream_unary(requests, context)
            except Exception as error:
                await _drain(bodies)
                await _abort(context, error, method)

        return call

    def _decode(self, handler: grpc.RpcMethodHandler, body: bytes) -> Any:
        if len(body) > self.max_message_bytes:
            raise ResourceExhausted(
                f"request: {len(body)} bytes, the limit is {self.max_message_bytes}; send a shorter prompt"
            )
        try:
            return handler.request_deserializer(body)
        except DecodeError as error:
            raise InvalidArgument(Violation("request", f"does not decode: {error}; text must be UTF-8")) from error


async def _send(
    responses: AsyncGenerator[Any, None] | Awaitable[None], context: grpc.aio.ServicerContext, write_seconds: float
) -> None:
    if not isinstance(responses, AsyncGenerator):
        # a handler that writes by itself
        await responses
        return
    # gRPC does not close a generator when the call is cancelled, so what it holds would wait for the garbage
    # collector; a coroutine is cancelled where it stands
    async with aclosing(responses) as open_responses:
        async for response in open_responses:
            await _write(response, context, write_seconds)


async def _write(response: Any, context: grpc.aio.ServicerContext, write_seconds: float) -> None:
    try:
        # it waits while the client, or what lies between, takes no more
        async with asyncio.timeout(write_seconds):
            await context.write(response)
    except TimeoutError as error:
        raise DeadlineExceeded(
            f"the answer was not read for {write_seconds:g} s; read it, or cancel the call"
        ) from error


async def _drain(bodies: AsyncIterator[bytes]) -> None:
    # a caller who is still sending may see that its stream is cut before it sees why
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in bodies:
                pass


async def _abort(context: grpc.aio.ServicerContext, error: Exception, method: str) -> None:
    if isinstance(error, ServiceError):
        status = error.to_status()
        await context.abort(status.code, status.details, status.trailing_metadata)
    if isinstance(error, grpc.aio.AbortError):
        raise error
    logger.error("unhandled error", method=method, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "internal error")
