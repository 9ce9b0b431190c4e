"""A server refuses first, lets calls finish, and does not wait for callers who only watch."""

import asyncio
import gc
import os
import signal
import time

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.shared.health import NOT_SERVING, SERVING, Health
from services.shared.lifecycle import background, keep_what_is_built, listen, stop_event_on_signals, stop_gracefully

NAME = "test.Service"


async def status(target: str, service: str) -> int:
    async with grpc.aio.insecure_channel(target) as channel:
        response = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
        return int(response.status)


@pytest.fixture
async def server():
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    yield server
    await server.stop(0)


async def test_process_is_alive_before_it_is_ready_and_after_it_left(server):
    health = Health(server, (NAME,), reflect=False)
    target = f"127.0.0.1:{await listen(server, '127.0.0.1', 0)}"
    seen = []
    for step in (health.alive, health.ready, health.leave, health.ready):
        await step()
        seen.append((await status(target, ""), await status(target, NAME), health.reason))
    assert seen == [
        (SERVING, NOT_SERVING, "starting"),
        (SERVING, SERVING, ""),
        (SERVING, NOT_SERVING, "shutting down"),
        (SERVING, NOT_SERVING, "shutting down"),
    ]


async def test_part_of_a_process_may_be_down_alone(server):
    health = Health(server, (NAME,), reflect=False)
    target = f"127.0.0.1:{await listen(server, '127.0.0.1', 0)}"
    await health.ready()
    await health.flag("part", ok=False)
    assert (await status(target, "part"), await status(target, NAME)) == (NOT_SERVING, SERVING)


async def test_taken_port_is_named(server):
    port = await listen(server, "127.0.0.1", 0)
    other = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    with pytest.raises(SystemExit, match=f"cannot listen on 127.0.0.1:{port}"):
        await listen(other, "127.0.0.1", port)


async def test_stop_does_not_wait_for_someone_who_watches_health(server):
    health = Health(server, (NAME,), reflect=False)
    port = await listen(server, "127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=NAME))
        await watch.read()
        started = time.monotonic()
        await stop_gracefully(server, health, 60, drained=asyncio.sleep(0))
        watch.cancel()
    assert time.monotonic() - started < 30


async def test_stop_waits_no_longer_than_the_grace(server):
    health = Health(server, (NAME,), reflect=False)
    await listen(server, "127.0.0.1", 0)
    started = time.monotonic()
    await stop_gracefully(server, health, 0.05, drained=asyncio.sleep(60))
    assert 0.05 <= time.monotonic() - started < 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_set_the_event(number):
    before = signal.getsignal(number)
    stop = stop_event_on_signals()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(stop.wait(), 5)
    assert stop.is_set()
    asyncio.get_running_loop().remove_signal_handler(number)
    signal.signal(number, before)


async def test_background_work_ends_with_its_block():
    async with background(asyncio.sleep(60)) as task:
        assert not task.done()
    assert task.cancelled()


async def test_background_failure_is_logged_when_it_happens():
    async def fail() -> None:
        raise RuntimeError("broken")

    with structlog.testing.capture_logs() as logs:
        async with background(fail()) as task:
            await asyncio.wait([task])
            assert [(line["event"], str(line["exc_info"])) for line in logs] == [("background task failed", "broken")]


def test_the_garbage_collector_leaves_alone_what_is_built_and_finds_what_comes_later():
    built: list[object] = []
    built.append(built)
    keep_what_is_built()
    try:
        assert not any(found is built for found in gc.get_objects())
        later: list[object] = []
        later.append(later)
        assert any(found is later for found in gc.get_objects())
    finally:
        gc.unfreeze()
