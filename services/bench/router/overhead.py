"""What the router costs: time beside a direct call, and the streamed messages that it can pass on."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle

from services.bench.router.client import Stub, stub_of, timed, token_request
from services.bench.router.fleet import Fleet
from services.bench.router.metrics import percentile

PER_SECOND = 200.0
PROMPT_TOKENS = 256
# direct calls and calls through the router take turns, so that both see the same machine
BLOCK_SECONDS = 2.5
# each sends a message every 10 ms, more together than one router in Python can pass on
STREAMS = 64
POLL_SECONDS = 0.05
ENGINE_ARGS = {"tokens_per_second": 100.0, "max_running": STREAMS, "total_slots": 10_000_000}
VARIABLES = {"RUNTIME_COALESCE_SECONDS": "0.005"}


@dataclass(frozen=True)
class Overhead:
    """Milliseconds of calls, the router's added ones as a difference of percentiles, and messages a second."""

    direct_ms_p50: float
    direct_ms_p99: float
    router_ms_p50: float
    router_ms_p99: float
    messages_per_s: float

    @property
    def added_ms_p50(self) -> float:
        return self.router_ms_p50 - self.direct_ms_p50

    @property
    def added_ms_p99(self) -> float:
        return self.router_ms_p99 - self.direct_ms_p99


async def measure_overhead(fleet: Fleet, seconds: float) -> Overhead:
    """Token-id prompts and one-token answers at 200 requests a second, then as many streams as are too many."""
    direct: list[float] = []
    routed: list[float] = []
    for _ in range(max(1, round(seconds / BLOCK_SECONDS / 2))):
        direct += await _block(fleet.runtimes, min(seconds, BLOCK_SECONDS))
        routed += await _block([fleet.router], min(seconds, BLOCK_SECONDS))
    messages = await _messages_per_s(fleet.router, seconds)
    return Overhead(*(1000 * percentile(found, share) for found in (direct, routed) for share in (0.5, 0.99)), messages)


async def _block(targets: Sequence[str], seconds: float) -> list[float]:
    """Seconds of each call, sent at even pauses to the targets in turn."""
    took: list[float] = []
    async with AsyncExitStack() as stack:
        turns = cycle([await stack.enter_async_context(stub_of(target)) for target in targets])
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(seconds * PER_SECOND)):
                await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
                tasks.create_task(_call(next(turns), number, took))
    return took


async def _call(stub: Stub, number: int, took: list[float]) -> None:
    timing = await timed(stub, token_request(PROMPT_TOKENS, 1, number))
    took.append(time.monotonic() - timing.sent)


async def _messages_per_s(target: str, seconds: float) -> float:
    """Messages with tokens that came through the router, of streams that all go on for longer than that."""
    new_tokens = int(10 * seconds * ENGINE_ARGS["tokens_per_second"])
    arrived = [0] * STREAMS
    async with stub_of(target) as stub:
        calls = [asyncio.create_task(_count(stub, new_tokens, number, arrived)) for number in range(STREAMS)]
        try:
            while not all(arrived):
                await asyncio.sleep(POLL_SECONDS)
                _raise_first(calls)
            before, began = sum(arrived), time.monotonic()
            await asyncio.sleep(seconds)
            rate = (sum(arrived) - before) / (time.monotonic() - began)
            _raise_first(calls)
            return rate
        finally:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)


def _raise_first(calls: Sequence[asyncio.Task[None]]) -> None:
    for call in calls:
        if call.done():
            call.result()


async def _count(stub: Stub, new_tokens: int, number: int, arrived: list[int]) -> None:
    stream = stub.Generate(token_request(PROMPT_TOKENS, new_tokens, number))
    try:
        async for _ in stream:
            arrived[number] += 1
    finally:
        stream.cancel()
