"""Requests are decoded and errors translated in one place, for unary and for streaming calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.shared import interceptors
from services.shared.errors import NotFound
from services.shared.interceptors import ErrorInterceptor, server_options

MAX_BYTES = 1000


class Handlers(grpc.GenericRpcHandler):
    """/t/unary, /t/stream and /t/upload run what the test gives."""

    def __init__(
        self,
        unary: Callable[..., Any] | None = None,
        stream: Callable[..., Any] | None = None,
        upload: Callable[..., Any] | None = None,
    ) -> None:
        codec = (StringValue.FromString, StringValue.SerializeToString)
        self.handlers = {
            "/t/unary": grpc.unary_unary_rpc_method_handler(unary, *codec),
            "/t/stream": grpc.unary_stream_rpc_method_handler(stream, *codec),
            "/t/upload": grpc.stream_unary_rpc_method_handler(upload, *codec),
        }

    def service(self, details):
        return self.handlers.get(details.method)


@asynccontextmanager
async def served(handlers: Handlers, write_seconds: float = 60.0) -> AsyncIterator[grpc.aio.Channel]:
    interceptor = ErrorInterceptor(MAX_BYTES, write_seconds)
    server = grpc.aio.server(interceptors=[interceptor], options=server_options(MAX_BYTES))
    server.add_generic_rpc_handlers((handlers,))
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)


async def unary(channel: grpc.aio.Channel, body: bytes = b"") -> bytes:
    return await channel.unary_unary("/t/unary")(body)


async def stream(channel: grpc.aio.Channel, body: bytes = b"") -> bytes:
    return b"".join([item async for item in channel.unary_stream("/t/stream")(body)])


async def upload(channel: grpc.aio.Channel, body: bytes = b"") -> bytes:
    async def bodies() -> AsyncIterator[bytes]:
        # as many as gRPC does not hold back
        for _ in range(300):
            yield body

    return await channel.stream_unary("/t/upload")(bodies())


def raising(error: Exception) -> Handlers:
    async def fail(request, context):
        raise error

    async def fail_later(request, context):
        yield request
        raise error

    return Handlers(fail, fail_later, fail)


async def echo(request, context):
    return request


async def echo_stream(request, context):
    yield request


async def echo_last(requests, context):
    return [request async for request in requests][-1]


@pytest.mark.parametrize("call", [unary, stream, upload])
async def test_request_passes_unchanged(call):
    body = StringValue(value="hello").SerializeToString()
    async with served(Handlers(echo, echo_stream, echo_last)) as channel:
        assert await call(channel, body) == body


@pytest.mark.parametrize("call", [unary, stream, upload])
async def test_service_error_becomes_its_status(call):
    async with served(raising(NotFound("model", "x", []))) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="model: 'x' is not here") as raised:
            await call(channel)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("call", [unary, stream, upload])
async def test_unknown_error_is_logged_in_full_and_answered_without_details(call):
    with structlog.testing.capture_logs() as logs:
        async with served(raising(RuntimeError("secret"))) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call(channel)
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.INTERNAL, "internal error")
    assert [(line["event"], str(line["exc_info"])) for line in logs] == [("unhandled error", "secret")]


@pytest.mark.parametrize("call", [unary, stream, upload])
async def test_request_that_does_not_decode_is_an_invalid_argument(call):
    async with served(Handlers(echo, echo_stream, echo_last)) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="does not decode") as raised:
            await call(channel, b"\x0a\x01\xff")
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("call", [unary, stream, upload])
async def test_too_large_request_is_refused_with_both_sizes(call):
    async with served(Handlers(echo, echo_stream, echo_last)) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="1001 bytes, the limit is 1000") as raised:
            await call(channel, bytes(1001))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_refusal_reaches_a_caller_who_never_ends_its_upload(monkeypatch):
    monkeypatch.setattr(interceptors, "DRAIN_SECONDS", 0.1)

    async def endless():
        yield b""
        await asyncio.Event().wait()

    async with served(raising(NotFound("model", "x", []))) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.stream_unary("/t/upload")(endless())
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


async def test_cancelling_a_stream_closes_the_handler_even_while_its_reader_is_slow():
    closed = asyncio.Event()

    async def endless(request, context):
        try:
            while True:
                yield StringValue(value="x" * 100_000)
        finally:
            closed.set()

    async with served(Handlers(stream=endless)) as channel:
        call = channel.unary_stream("/t/stream")(b"")
        await call.read()
        call.cancel()
        await asyncio.wait_for(closed.wait(), 5)
    assert closed.is_set()


async def test_handler_that_writes_by_itself_passes():
    async with served(Handlers()) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        response = await watch.read()
        watch.cancel()
    assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_unknown_method_is_unimplemented():
    async with served(Handlers(echo)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/t/other")(b"")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_client_that_never_reads_loses_its_stream_and_nothing_is_held_for_it():
    ended = asyncio.Event()

    async def endless(request, context):
        try:
            while True:
                yield StringValue(value="x" * 100_000)
        finally:
            ended.set()

    async with served(Handlers(stream=endless), write_seconds=0.2) as channel:
        call = channel.unary_stream("/t/stream")(b"")
        await call.read()
        async with asyncio.timeout(30):
            await ended.wait()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            while await call.read():
                pass
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "not read for 0.2 s" in raised.value.details()
