"""A large adapter is published and loaded, while probers measure how long other commands of Redis take.

One asks the Redis with the adapters, another one a Redis that nobody else uses: what that shows is the machine's.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from scorer.adapters.publishing import publish
from scorer.adapters.redis_keys import AdapterKeys
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_values import AdapterId
from scorer.cli.actions import Files
from services.soak.converge import Follower
from services.soak.history import History
from services.soak.plan import LARGE, WAIT_SECONDS

# of the time before, to compare with
QUIET_SECONDS = 3.0
Sample = tuple[float, float]


@dataclass(frozen=True)
class Latencies:
    """Of other commands, in ms."""

    p50: float = 0.0
    p99: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, samples: Sequence[Sample], start: float, end: float) -> "Latencies":
        """Of the commands that were due in this time."""
        found = sorted(ms for due, ms in samples if start <= due < end)
        if not found:
            return cls()
        return cls(*(round(found[round(share * (len(found) - 1))], 2) for share in (0.5, 0.99, 1.0)))


@dataclass(frozen=True)
class LargeResult:
    """Seconds from the first byte to the version, and from the move of its alias to an answer by it.

    Latencies of the store before, while it is published and while it is loaded; of an idle Redis in the last two.
    """

    size_bytes: int = 0
    publish_seconds: float = 0.0
    load_seconds: float = 0.0
    before: Latencies = field(default_factory=Latencies)
    publishing: Latencies = field(default_factory=Latencies)
    loading: Latencies = field(default_factory=Latencies)
    idle_publishing: Latencies = field(default_factory=Latencies)
    idle_loading: Latencies = field(default_factory=Latencies)


async def publish_and_load(
    store: AdapterStore, urls: tuple[str, str], files: Files, history: History, follower: Follower
) -> LargeResult:
    """`urls` are the store's and that of an idle Redis. Raises TimeoutError when one of both takes too long."""
    manifest = files.manifest
    adapter = AdapterId(manifest.model, manifest.adapter)
    async with _prober(urls[0], adapter) as samples, _prober(urls[1], adapter) as idle:
        began = time.monotonic()
        await asyncio.sleep(QUIET_SECONDS)
        history.publishing(manifest.version, time.monotonic())
        published = time.monotonic()
        async with asyncio.timeout(WAIT_SECONDS):
            await publish(store, manifest, files.contents)
        moved = time.monotonic()
        await follower.move(LARGE, lambda: [manifest.version], random.Random(0))
        loaded = (await follower.followed(LARGE, manifest.version)).answered
    return LargeResult(
        manifest.files.weights.size_bytes,
        round(moved - published, 2),
        round(loaded - moved, 2),
        Latencies.of(samples, began, published),
        Latencies.of(samples, published, moved),
        Latencies.of(samples, moved, loaded),
        Latencies.of(idle, published, moved),
        Latencies.of(idle, moved, loaded),
    )


@asynccontextmanager
async def _prober(url: str, adapter: AdapterId) -> AsyncIterator[list[Sample]]:
    """A process of its own, which waits for nothing of ours. The samples are there at the end."""
    samples: list[Sample] = []
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.soak.prober",
        url,
        AdapterKeys(adapter).aliases,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C is for us
        start_new_session=True,
    )
    try:
        yield samples
        output, _ = await process.communicate(b"")
        samples += [(due, ms) for due, ms in json.loads(output)]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
