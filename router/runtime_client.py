"""A runtime over gRPC: the connection, the calls, and what its errors mean to a client of ours."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import grpc
from google.rpc import status_pb2
from grpc_status import rpc_status

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from protos.runtime.v1 import runtime_pb2, runtime_pb2_grpc
from services.shared.errors import Unavailable
from services.shared.tracing.context import Headers

# a runtime that starts again is found within the longest pause between two attempts
FIRST_RECONNECT_MS = 100
LONGEST_RECONNECT_MS = 1000
# what gRPC itself says of a call whose server went away
CUT_OFF = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class ResponseStream(Protocol):
    """An answer on its way; grpc.aio's UnaryStreamCall is one."""

    def __aiter__(self) -> AsyncIterator[generation_pb2.GenerateResponse]: ...

    def cancel(self) -> bool: ...

    def add_done_callback(self, callback: Callable[[Any], None]) -> None: ...


class Runtime(Protocol):
    """What the router asks of a runtime. Its calls raise grpc.aio.AioRpcError."""

    target: str

    def connected(self) -> bool: ...

    async def model_info(self) -> runtime_pb2.GetModelInfoResponse: ...

    async def load(self) -> runtime_pb2.GetLoadResponse: ...

    def generate(
        self, request: generation_pb2.GenerateRequest, timeout_seconds: float | None, headers: Headers
    ) -> ResponseStream: ...


class RuntimeClient:
    """The `Runtime` at host:port."""

    def __init__(self, target: str, *, timeout_seconds: float, keepalive_seconds: float) -> None:
        self.target = target
        self._timeout_seconds = timeout_seconds
        self._channel = grpc.aio.insecure_channel(target, _channel_options(keepalive_seconds))
        self._generation = generation_pb2_grpc.GenerationServiceStub(self._channel)
        self._runtime = runtime_pb2_grpc.RuntimeServiceStub(self._channel)

    def connected(self) -> bool:
        """Whether the connection stands at this moment; gRPC notices a dead process before the next poll does."""
        return self._channel.get_state() is grpc.ChannelConnectivity.READY

    async def model_info(self) -> runtime_pb2.GetModelInfoResponse:
        """The model that it serves. Raises AioRpcError, also when it takes longer than `timeout_seconds`."""
        return await self._runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest(), timeout=self._timeout_seconds)

    async def load(self) -> runtime_pb2.GetLoadResponse:
        """How busy it is. Raises AioRpcError, also when it takes longer than `timeout_seconds`."""
        return await self._runtime.GetLoad(runtime_pb2.GetLoadRequest(), timeout=self._timeout_seconds)

    def generate(
        self, request: generation_pb2.GenerateRequest, timeout_seconds: float | None, headers: Headers
    ) -> ResponseStream:
        """The stream of answers, which ends after `timeout_seconds` at the latest."""
        return self._generation.Generate(request, timeout=timeout_seconds, metadata=headers)

    async def close(self) -> None:
        """Cancels what is still in flight."""
        await self._channel.close()


def client_status(error: grpc.aio.AioRpcError) -> grpc.Status:
    """What the client is told: the runtime's own words and details, or Unavailable when it went away without any."""
    spoken = rpc_status.from_call(error)
    if spoken is None and error.code() in CUT_OFF:
        return Unavailable("the runtime of this request went away; send the request again").to_status()
    return rpc_status.to_status(spoken or status_pb2.Status(code=error.code().value[0], message=error.details() or ""))


def _channel_options(keepalive_seconds: float) -> list[tuple[str, int]]:
    keepalive_ms = int(1000 * keepalive_seconds)
    return [
        # polls answered in time keep the connection from ever being silent, so these pings only meet a dead host, or a
        # server whose Python stands still: its gRPC answers, and calls the fourth in a row too many
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", keepalive_ms),
        ("grpc.http2.max_pings_without_data", 0),
        # any ping without an answer for so long ends the connection; gRPC would wait for a minute, and for one that
        # it sent to probe the bandwidth would hold the keepalive ping back too
        ("grpc.http2.ping_timeout_ms", keepalive_ms),
        ("grpc.initial_reconnect_backoff_ms", FIRST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", LONGEST_RECONNECT_MS),
    ]
