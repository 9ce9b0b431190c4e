"""How a server process starts and stops."""

import asyncio
import signal

import grpc

from services.shared.health import Health


def stop_event_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set, instead of ending the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def stop_gracefully(server: grpc.aio.Server, health: Health, grace_seconds: float) -> None:
    """Say NOT_SERVING, refuse new calls, and let those in flight finish for `grace_seconds`."""
    await health.leave()
    await server.stop(grace_seconds)
