"""What the router costs: time beside a direct call, and the streamed messages that it can pass on."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from services.bench.router.client import Stub, stub_of, timed, token_request
from services.bench.router.fleet import Fleet
from services.bench.router.metrics import percentile

PER_SECOND = 200.0
# with each fourth call through the router there is a direct one, so that both see the same machine
DIRECT_EVERY = 4
PROMPT_TOKENS = 256
STREAM_TOKENS = 8192
# each sends a message every 10 ms, more together than one router in Python can pass on
STREAMS = 64
POLL_SECONDS = 0.05
ENGINE_ARGS = {"tokens_per_second": 100.0, "max_running": STREAMS, "total_slots": 10_000_000}
VARIABLES = {"RUNTIME_COALESCE_SECONDS": "0.005"}
# in the router's log, for each request: its own work, without tokenization, queue and the runtime
OWN_SECONDS = "own_seconds"
REQUEST_EVENT = "request"


@dataclass(frozen=True)
class Overhead:
    """Milliseconds of calls, p50 and p99, as clients see them and of the router's own work, and messages a second.

    `own_ms` is None when the router does not log its own work.
    """

    direct_ms: tuple[float, float]
    router_ms: tuple[float, float]
    own_ms: tuple[float, float] | None
    messages_per_s: float

    @property
    def added_ms(self) -> tuple[float, float]:
        """What the router adds, p50 and p99: its own work, else the differences of what clients see."""
        if self.own_ms is not None:
            return self.own_ms
        return self.router_ms[0] - self.direct_ms[0], self.router_ms[1] - self.direct_ms[1]


async def measure_overhead(fleet: Fleet, seconds: float) -> Overhead:
    """Token-id prompts and one-token answers at 200 requests a second, then as many streams as are too many."""
    direct, routed = await _calls(fleet, seconds)
    own = _own_seconds(fleet.router_log)
    messages = await _messages_per_s(fleet.router, seconds)
    return Overhead(_percentiles(direct), _percentiles(routed), _percentiles(own) if own else None, messages)


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    return 1000 * percentile(seconds, 0.5), 1000 * percentile(seconds, 0.99)


async def _calls(fleet: Fleet, seconds: float) -> tuple[list[float], list[float]]:
    """Seconds of each direct call, and of each through the router, sent at even pauses."""
    direct: list[float] = []
    routed: list[float] = []
    async with AsyncExitStack() as stack:
        router, *stubs = [await stack.enter_async_context(stub_of(one)) for one in (fleet.router, *fleet.runtimes)]
        began, turns = time.monotonic(), cycle(stubs)
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(seconds * PER_SECOND)):
                await asyncio.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
                tasks.create_task(_call(router, number, routed))
                if number % DIRECT_EVERY == 0:
                    tasks.create_task(_call(next(turns), number, direct))
    return direct, routed


async def _call(stub: Stub, number: int, took: list[float]) -> None:
    timing = await timed(stub, token_request(PROMPT_TOKENS, 1, number))
    took.append(time.monotonic() - timing.sent)


def _own_seconds(log: Path) -> list[float]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line[OWN_SECONDS] for line in lines if line.get("event") == REQUEST_EVENT and OWN_SECONDS in line]


async def _messages_per_s(target: str, seconds: float) -> float:
    """Messages with tokens that came through the router, of streams that follow each other without an end."""
    arrived = [0] * STREAMS
    async with stub_of(target) as stub:
        calls = [asyncio.create_task(_count(stub, number, arrived)) for number in range(STREAMS)]
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


async def _count(stub: Stub, number: int, arrived: list[int]) -> None:
    while True:
        stream = stub.Generate(token_request(PROMPT_TOKENS, STREAM_TOKENS, number))
        try:
            async for response in stream:
                arrived[number] += response.HasField("chunk")
        finally:
            stream.cancel()
