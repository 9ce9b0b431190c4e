"""A process's metrics over HTTP, in Prometheus' text format."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry, Metric, disable_created_metrics, start_http_server
from prometheus_client.registry import Collector

from services.shared.lifecycle import to_address

logger = structlog.get_logger()

# buckets of what takes a model's time
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# a scrape should not wait for a loop that hangs
LOOP_SECONDS = 2.0

Source = Callable[[], Iterable[Metric]]


class LoopCollector(Collector):
    """Series that are made when somebody looks, on the event loop, so that what they are made of holds still.

    A loop that hangs has none of them, and those that are counted are scraped all the same.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *sources: Source, seconds: float = LOOP_SECONDS) -> None:
        self._loop = loop
        self._sources = sources
        self._seconds = seconds

    def collect(self) -> Iterator[Metric]:
        asked = asyncio.run_coroutine_threadsafe(self._made(), self._loop)
        try:
            yield from asked.result(self._seconds)
        except TimeoutError:
            asked.cancel()

    async def _made(self) -> list[Metric]:
        return [metric for source in self._sources for metric in source()]


@asynccontextmanager
async def metrics_served(registry: CollectorRegistry, host: str, port: int | None) -> AsyncIterator[None]:
    """`/metrics` for as long as this block lasts: on a free port for 0, nowhere for None.

    A thread of its own answers. Exits with a sentence when the port is taken.
    """
    if port is None:
        yield
        return
    # a twin of each series that says when it began
    disable_created_metrics()
    try:
        server, thread = await asyncio.to_thread(start_http_server, port, host, registry)
    except OSError as error:
        address = to_address(host, port)
        raise SystemExit(f"cannot serve metrics on {address}; choose another host or port for them") from error
    logger.info("metrics", host=host, port=server.server_port)
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
