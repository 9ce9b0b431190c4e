"""A process's metrics over HTTP, in Prometheus' text format."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server

from services.shared.lifecycle import to_address

logger = structlog.get_logger()


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
