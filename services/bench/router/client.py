"""A client that sends a trace, each request when its time has come, and measures what it sees."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

import grpc

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from services.bench.router.fleet import VOCAB_SIZE
from services.bench.router.metrics import Served
from services.bench.router.trace import Arrival

# by which the router tells the tenant, where its settings trust it
TENANT_HEADER = "x-lookaheadkv-tenant"

Build = Callable[[Arrival], generation_pb2.GenerateRequest]
Stub = generation_pb2_grpc.GenerationServiceStub


@dataclass
class Timing:
    """When messages with tokens came, and how many tokens were in them."""

    sent: float
    first: float = 0.0
    last: float = 0.0
    first_tokens: int = 0
    messages: int = 0
    complete: generation_pb2.GenerateComplete | None = None


@asynccontextmanager
async def stub_of(target: str) -> AsyncIterator[Stub]:
    """A client of a server on this machine, past any proxy."""
    async with grpc.aio.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield generation_pb2_grpc.GenerationServiceStub(channel)


async def replay(target: str, trace: Sequence[Arrival], build: Build, served: Callable[[Served], None]) -> None:
    """Send each request at its time, and call `served` with how it went. Returns when all are over."""
    began = time.monotonic()
    async with stub_of(target) as stub, asyncio.TaskGroup() as tasks:
        for arrival in trace:
            await asyncio.sleep(max(0.0, began + arrival.at_seconds - time.monotonic()))
            tasks.create_task(_serve(stub, arrival, build(arrival), served))


async def timed(stub: Stub, request: generation_pb2.GenerateRequest, tenant: str = "") -> Timing:
    """One answer from beginning to end. Raises AioRpcError."""
    timing = Timing(time.monotonic())
    metadata = ((TENANT_HEADER, tenant),) if tenant else ()
    async for response in stub.Generate(request, metadata=metadata):
        if response.HasField("complete"):
            timing.complete = response.complete
            break
        timing.last = time.monotonic()
        timing.messages += 1
        if timing.messages == 1:
            timing.first, timing.first_tokens = timing.last, len(response.chunk.token_ids)
    return timing


def token_request(
    prompt_tokens: int, new_tokens: int, number: int, kv: generation_pb2.KvHint | None = None
) -> generation_pb2.GenerateRequest:
    """A request that nobody has to tokenize, and whose prompt begins like no other one's."""
    request = generation_pb2.GenerateRequest(
        sampling=generation_pb2.SamplingParams(max_new_tokens=new_tokens, ignore_eos=True), kv=kv
    )
    request.token_ids.ids.extend((number + index) % (VOCAB_SIZE - 1) + 1 for index in range(prompt_tokens))
    return request


def with_slo() -> Build:
    """Requests that would keep all of their prompt, as far as the tenant's SLO allows."""
    numbers = count()

    def build(arrival: Arrival) -> generation_pb2.GenerateRequest:
        kv = generation_pb2.KvHint(keep_ratio=1.0)
        request = token_request(arrival.prompt_tokens, arrival.new_tokens, next(numbers), kv)
        request.slo.ttft.FromMilliseconds(round(1000 * arrival.tenant.ttft_seconds))
        request.slo.tpot.FromMicroseconds(round(1e6 * arrival.tenant.tpot_seconds))
        return request

    return build


def with_fixed(budget_tokens: int) -> Build:
    """Requests that ask for one budget and for no SLO."""
    numbers = count()

    def build(arrival: Arrival) -> generation_pb2.GenerateRequest:
        kv = generation_pb2.KvHint(budget_tokens=budget_tokens)
        return token_request(arrival.prompt_tokens, arrival.new_tokens, next(numbers), kv)

    return build


async def _serve(
    stub: Stub, arrival: Arrival, request: generation_pb2.GenerateRequest, served: Callable[[Served], None]
) -> None:
    try:
        timing = await timed(stub, request, arrival.tenant.name)
    except grpc.aio.AioRpcError as error:
        served(Served(arrival, rule=error.code().name.lower()))
        return
    served(_outcome(arrival, timing))


def _outcome(arrival: Arrival, timing: Timing) -> Served:
    complete = timing.complete
    if complete is None or not timing.messages:
        return Served(arrival, rule="no answer")
    behind = complete.usage.completion_tokens - timing.first_tokens
    tpot = (timing.last - timing.first) / behind if behind > 0 else None
    return Served(arrival, complete.kv.kept_tokens, complete.decision.rule, timing.first - timing.sent, tpot)
