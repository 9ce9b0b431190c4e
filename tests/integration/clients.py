"""What a caller of a runtime or router does, in as few words as a test wants."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from protos.runtime.v1 import runtime_pb2, runtime_pb2_grpc

GENERATION = "lookaheadkv.generation.v1.GenerationService"
# from a change in the store of adapters, or its return, to the answers
CONVERGE_SECONDS = 5.0
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def prompt(tokens: int) -> str:
    """A text of so many tokens of the tiny model."""
    return " ".join(f"w{1 + index % 900}" for index in range(tokens))


def generate_request(
    prompt_tokens: int = 300, new_tokens: int = 20, budget_tokens: int | None = None, **fields: Any
) -> generation_pb2.GenerateRequest:
    """A request, with a budget when one is given."""
    return generation_pb2.GenerateRequest(
        text=prompt(prompt_tokens),
        sampling=generation_pb2.SamplingParams(max_new_tokens=new_tokens),
        kv=generation_pb2.KvHint(budget_tokens=budget_tokens),
        **fields,
    )


class Client:
    """The stubs of one server. Calls wait until it listens."""

    def __init__(self, target: str) -> None:
        self.channel = grpc.aio.insecure_channel(target)
        self.generation = generation_pb2_grpc.GenerationServiceStub(self.channel)
        self.runtime = runtime_pb2_grpc.RuntimeServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()

    async def answer(
        self, request: generation_pb2.GenerateRequest
    ) -> tuple[list[generation_pb2.GenerateChunk], generation_pb2.GenerateComplete]:
        """All chunks, and the one completion, which comes last."""
        responses = [response async for response in self.generation.Generate(request)]
        assert [response.WhichOneof("event") for response in responses[-2:]] == ["chunk", "complete"]
        return [response.chunk for response in responses[:-1]], responses[-1].complete

    async def refusal(self, request: generation_pb2.GenerateRequest, **options: Any) -> grpc.aio.AioRpcError:
        """The error that ends the call; there must be one."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            async for _ in self.generation.Generate(request, **options):
                pass
        return raised.value

    async def load(self) -> runtime_pb2.GetLoadResponse:
        """How busy the runtime is."""
        return await self.runtime.GetLoad(runtime_pb2.GetLoadRequest())

    async def check(self, service: str) -> int:
        """The serving status of a health service."""
        response = await self.health.Check(health_pb2.HealthCheckRequest(service=service))
        return int(response.status)

    def watch_health(self, service: str = GENERATION) -> grpc.aio.UnaryStreamCall:
        """The stream of serving statuses of a health service."""
        return self.health.Watch(health_pb2.HealthCheckRequest(service=service))

    async def ready(self, service: str = GENERATION) -> "Client":
        """This client, once `service` is SERVING."""
        await until(lambda: self.check(service), lambda status: status == SERVING)
        return self


async def until(ask: Callable[[], Awaitable[Any]], good: Callable[[Any], bool], seconds: float = 30.0) -> Any:
    """The first answer that is good."""
    deadline = time.monotonic() + seconds
    while not good(answer := await ask()):
        assert time.monotonic() < deadline, f"waited in vain; the last answer was {answer}"
        await asyncio.sleep(0.01)
    return answer
