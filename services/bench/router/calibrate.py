"""`python -m services.bench.router.calibrate`: how long steps of decoding take on a runtime, by the KV they read.

The figures of `engine_profile.py` come from here and from `make cost`. The runtime must be idle.
"""

import asyncio
import time
from collections.abc import Sequence
from statistics import median
from typing import Annotated

import grpc
import typer

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from services.local.cli import run_command

# prompt tokens of each request, and how many run at once
GROUPS = ((256, 1), (1024, 1), (3072, 1), (1024, 2), (256, 4), (1024, 4), (256, 8), (1024, 8))
NEW_TOKENS = 48

Target = Annotated[str, typer.Argument(help="host:port of a runtime that nobody else uses.")]


def main(target: Target) -> None:
    """Print running requests, resident tokens and seconds of a step for groups of prompts."""
    asyncio.run(_measure(target))


async def _measure(target: str) -> None:
    async with grpc.aio.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        for number, (prompt_tokens, running) in enumerate(GROUPS, start=1):
            requests = [_request(prompt_tokens, 100 * number + index) for index in range(running)]
            arrivals = await asyncio.gather(*(_arrivals(stub, request) for request in requests))
            seconds = _step_seconds(arrivals)
            resident = running * (prompt_tokens + NEW_TOKENS // 2)
            typer.echo(f"running {running}  resident_tokens {resident}  step_seconds {seconds:.5f}")


async def _arrivals(
    stub: generation_pb2_grpc.GenerationServiceStub, request: generation_pb2.GenerateRequest
) -> list[float]:
    """When each message with tokens came."""
    return [time.monotonic() async for response in stub.Generate(request) if response.HasField("chunk")]


def _step_seconds(arrivals: Sequence[Sequence[float]]) -> float:
    """The median pause between two tokens while all requests decode."""
    began, ended = max(times[0] for times in arrivals), min(times[-1] for times in arrivals)
    gaps = [
        after - before
        for times in arrivals
        for before, after in zip(times, times[1:], strict=False)
        if began <= before and after <= ended
    ]
    return median(gaps)


def _request(prompt_tokens: int, first: int) -> generation_pb2.GenerateRequest:
    """A prompt that shares no prefix with another one."""
    ids = [first, *(1000 + (7 * first + index) % 20_000 for index in range(prompt_tokens - 1))]
    return generation_pb2.GenerateRequest(
        token_ids=generation_pb2.TokenIds(ids=ids),
        sampling=generation_pb2.SamplingParams(max_new_tokens=NEW_TOKENS, temperature=0, ignore_eos=True),
        kv=generation_pb2.KvHint(policy="full"),
    )


if __name__ == "__main__":
    run_command(main)
