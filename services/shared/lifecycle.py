"""How a server process starts and stops."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import structlog

from services.shared.health import Health

logger = structlog.get_logger()

# for what is still in flight when the drain is over: streams that never end by themselves, such as health watches
CUT_SECONDS = 0.5


def stop_event_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, instead of ending the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def listen(server: grpc.aio.Server, host: str, port: int) -> int:
    """Start `server` and return its port; 0 picks a free one. Exits with a sentence when the port is taken."""
    address = to_address(host, port)
    try:
        bound: int = server.add_insecure_port(address)
    except RuntimeError as error:
        raise SystemExit(f"cannot listen on {address}; choose another host or port") from error
    await server.start()
    return bound


def keep_what_is_built() -> None:
    """What exists now lives as long as the process: looking at all of it again would halt requests for 50 ms."""
    gc.collect()
    gc.freeze()


def to_address(host: str, port: int) -> str:
    """host:port, where an IPv6 host has brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@asynccontextmanager
async def background(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """A task that runs beside this block and is cancelled at its end. Its failure is logged when it happens."""
    task = asyncio.create_task(work)
    task.add_done_callback(log_failure)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def log_failure(task: asyncio.Task[Any]) -> None:
    """A done callback for a task that nobody waits for."""
    if not task.cancelled() and (error := task.exception()):
        logger.error("background task failed", exc_info=error)


async def stop_gracefully(
    server: grpc.aio.Server, health: Health, grace_seconds: float, drained: Coroutine[Any, Any, None] | None = None
) -> None:
    """Say NOT_SERVING, refuse new calls, and let those in flight finish for `grace_seconds`.

    With `drained`, the wait ends when it does, so that a caller who watches our health does not hold us up.
    """
    await health.leave()
    if drained is None:
        await server.stop(grace_seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(grace_seconds):
            await drained
    await server.stop(min(CUT_SECONDS, grace_seconds))
