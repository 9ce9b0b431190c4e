"""What the tests of the router share beside `clients`."""

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from protos.generation.v1 import generation_pb2
from tests.integration.clients import Client, generate_request
from tests.processes import ServerProcess

# tokens of an answer that no test waits for
LONG = 2000


async def long_call(client: Client, **fields: Any) -> grpc.aio.UnaryStreamCall:
    """An answer that has begun and goes on."""
    call = client.generation.Generate(generate_request(new_tokens=LONG, **fields))
    await call.read()
    return call


async def refusal(call: grpc.aio.UnaryStreamCall) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await rest(call)
    return raised.value


async def rest(call: grpc.aio.UnaryStreamCall) -> list[generation_pb2.GenerateResponse]:
    """The responses that have not been read yet."""
    responses = []
    while (response := await call.read()) is not grpc.aio.EOF:
        responses.append(response)
    return responses


def retry_info(error: grpc.aio.AioRpcError) -> error_details_pb2.RetryInfo:
    """The RetryInfo that came with an error."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info


def target_of(router: ServerProcess, request_id: str) -> str:
    """Which runtime served a request that is over."""
    return str(router.wait_for("request", request_id=request_id)["target"])


async def busy_runtime(runtimes: dict[str, ServerProcess]) -> str | None:
    """The target of a runtime with a request in flight."""
    for target in runtimes:
        async with Client(target) as client:
            if (await client.load()).in_flight:
                return target
    return None
