"""The adapter store when Redis restarts, stays away, is full or set up wrongly, and when a publisher dies."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from scorer.adapters.redis_leaks import leaked_keys
from scorer.adapters.store_errors import (
    NotInStore,
    StoreForbidden,
    StoreFull,
    StoreMisconfigured,
    StoreUnavailable,
)
from scorer.adapters.store_values import CHUNK_BYTES, split
from scorer.adapters.watching import Change, Watch
from tests.adapter_uploads import ADAPTER, make_upload, make_weights, publish, publish_small, read_all
from tests.integration.clients import CONVERGE_SECONDS
from tests.integration.links import FAULTS
from tests.integration.stores import store_at
from tests.processes import ROOT, free_port, poll
from tests.redis_servers import SERVERS, RedisServer, server_program

StartServer = Callable[..., RedisServer]
PUBLISHER = ("on", ">secret", "~adapter:*", "+@read", "+@write", "+@connection", "+@scripting", "+time", "-@dangerous")
READER = ("on", ">secret", "~adapter:*", "+@read", "+@connection", "-@dangerous")


@pytest.fixture(params=SERVERS)
def start_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartServer]:
    """start_server(maxmemory="8mb"): a server of its own, killed at the end of the test."""
    started: list[RedisServer] = []

    def start(**config: Any) -> RedisServer:
        started.append(RedisServer(server_program(request.param), tmp_path, **config))
        return started[-1]

    yield start
    for server in started:
        server.kill()


@FAULTS
async def test_a_publisher_goes_on_when_redis_is_back(start_server, fault):
    server, weights = start_server(), make_weights()
    upload = make_upload(weights)
    async with store_at(server.url, {"retries": 20}) as store:
        await store.put_chunk(upload, 0, split(weights)[0])
        _begin(fault, server)
        sending = asyncio.create_task(publish(store, upload, weights))
        await asyncio.to_thread(_end, fault, server)
        await sending
        assert await read_all(store, upload) == weights
        with server.client() as client:
            assert await leaked_keys(client, store, [ADAPTER]) == []


@FAULTS
async def test_a_reader_goes_on_when_redis_is_back(start_server, fault):
    server, weights = start_server(), make_weights()
    upload = make_upload(weights)
    async with store_at(server.url, {"retries": 20}) as store:
        await publish(store, upload, weights)
        chunks = store.read(upload)
        found = [await anext(chunks)]
        _begin(fault, server)
        rest = asyncio.create_task(_collect(chunks))
        await asyncio.to_thread(_end, fault, server)
        assert b"".join(found + await rest) == weights


async def test_who_waits_for_events_is_told_after_a_restart(start_server):
    server = start_server()
    async with store_at(server.url, {"retries": 20}) as store:
        await publish_small(store, 1)
        waiting = asyncio.create_task(store.events(ADAPTER, 2, timeout_seconds=60))
        server.kill()
        await asyncio.to_thread(server.start)
        await store.set_alias(ADAPTER, "canary", 1, generation=0)
        assert [event.alias for event in await asyncio.wait_for(waiting, 30)] == ["canary"]


async def test_a_cancel_at_the_very_moment_that_a_command_was_sent_is_not_lost(start_server):
    # Python 3.11's asyncio.wait_for, which redis-py sends with, would lose it
    server = start_server()
    async with store_at(server.url) as store:
        await publish_small(store, 1)
        for steps in range(1, 60):
            waiting = asyncio.create_task(store.events(ADAPTER, 2, timeout_seconds=60))
            for _ in range(steps):
                await asyncio.sleep(0)
            waiting.cancel()
            async with asyncio.timeout(5):
                await asyncio.wait({waiting})
            assert waiting.cancelled()


async def test_who_follows_adapters_through_a_partition_longer_than_its_patience_hears_of_the_newest_state(
    start_server,
):
    server = start_server()
    impatient = {"retries": 1, "timeout_seconds": 0.2, "first_wait_seconds": 0.01}
    async with store_at(server.url) as operator, store_at(server.url, impatient) as store:
        await publish_small(operator, 1, 2)
        async with aclosing(Watch(store, await _fingerprint(operator)).updates()) as updates:
            await anext(updates)
            server.pause()
            with capture_logs() as logs:
                following = asyncio.create_task(anext(updates))
                await asyncio.to_thread(poll, lambda: logs, 30)
            server.resume()
            state = _only(await asyncio.wait_for(following, CONVERGE_SECONDS))
            await operator.set_alias(ADAPTER, "canary", 2, generation=0)
            change = await asyncio.wait_for(anext(updates), CONVERGE_SECONDS)
    assert "does not answer" in logs[0]["reason"]
    assert set(state.aliases.by_name) == {"default"}
    assert isinstance(change, Change) and set(change.state.aliases.by_name) == {"default", "canary"}


async def test_who_follows_adapters_of_a_redis_that_lost_them_and_has_as_many_events_again_is_told(start_server):
    server = start_server(appendonly="no")
    async with store_at(server.url, {"retries": 20}) as store:
        await publish_small(store, 1, 2)
        async with aclosing(Watch(store, await _fingerprint(store)).updates()) as updates:
            before = _only(await anext(updates))
            server.kill()
            await asyncio.to_thread(server.start)
            await publish_small(store, 2, 1)
            after = _only(await asyncio.wait_for(anext(updates), CONVERGE_SECONDS))
    assert before.aliases.revision == after.aliases.revision
    assert (before.aliases.by_name["default"].version, after.aliases.by_name["default"].version) == (1, 2)


async def test_a_redis_that_stays_away_is_a_sentence_and_later_works_again(start_server):
    server = start_server()
    async with store_at(server.url, {"retries": 1, "password": "", "first_wait_seconds": 0.01}) as store:
        await publish_small(store, 1)
        server.kill()
        with pytest.raises(StoreUnavailable, match="does not answer HGETALL now .*; try again later"):
            await store.aliases(ADAPTER)
        with pytest.raises(StoreUnavailable):
            await store.set_alias(ADAPTER, "canary", 1, generation=0)
        await asyncio.to_thread(server.start)
        assert set((await store.aliases(ADAPTER)).by_name) == {"default"}


async def test_a_redis_that_hangs_is_a_sentence_and_later_works_again(start_server):
    server, weights = start_server(), make_weights(100)
    upload = make_upload(weights, 2)
    async with store_at(server.url, {"retries": 0, "timeout_seconds": 0.5}) as store:
        await publish_small(store, 1)
        server.pause()
        for call in (publish(store, upload, weights), store.set_alias(ADAPTER, "canary", 1, 0), store.aliases(ADAPTER)):
            with pytest.raises(StoreUnavailable, match="try again later"):
                await call
        server.resume()
        await publish(store, upload, weights)
        assert await read_all(store, upload) == weights


async def test_a_redis_that_was_never_there_is_a_sentence():
    with pytest.raises(StoreUnavailable, match="redis://127.0.0.1"):
        async with store_at(f"redis://user:secret@127.0.0.1:{free_port()}", {"retries": 0}):
            pass


async def test_a_full_redis_refuses_and_shows_nothing_half(start_server):
    server, weights = start_server(appendonly="no"), make_weights()
    upload = make_upload(weights, 2)
    async with store_at(server.url) as store:
        await publish_small(store, 1)
        with server.client() as client:
            client.config_set("maxmemory", client.info("memory")["used_memory"] + CHUNK_BYTES * 3 // 2)
            with pytest.raises(StoreFull, match="is full .*; raise maxmemory, or delete what is not needed"):
                await publish(store, upload, weights)
            assert [version.number for version in await store.versions(ADAPTER)] == [1]

            client.config_set("maxmemory", 0)
            await publish(store, upload, weights)
            client.config_set("maxmemory", 1)
            with pytest.raises(StoreFull):
                await store.set_alias(ADAPTER, "default", 2, generation=2)
            assert (await store.aliases(ADAPTER)).by_name["default"].version == 1
            # what makes room again works when there is none
            assert await store.collect(ADAPTER, 0) == (2,)
            assert await leaked_keys(client, store, [ADAPTER]) == []


async def test_what_a_killed_publisher_sent_vanishes(start_server):
    server = start_server(appendonly="no")
    await asyncio.to_thread(_kill_a_publisher, server.url)
    with server.client() as client:
        assert client.info("stats")["expired_keys"] + client.dbsize() == 1
        await asyncio.to_thread(poll, lambda: client.dbsize() == 0, 30, lambda: f"still there: {client.keys()}")
    async with store_at(server.url) as store:
        with pytest.raises(NotInStore):
            await store.open(make_upload(make_weights(100)).version)


async def test_a_redis_that_would_delete_adapters_is_refused(start_server):
    server = start_server(maxmemory_policy="allkeys-lru")
    with pytest.raises(StoreMisconfigured, match="'allkeys-lru'.*CONFIG SET maxmemory-policy noeviction"):
        async with store_at(server.url):
            pass


async def test_a_reader_reads_and_writes_nothing(start_server):
    server, weights = start_server(), make_weights(100)
    upload = make_upload(weights)
    async with store_at(server.url) as store:
        await publish(store, upload, weights)
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", *READER)

    with capture_logs() as logs:
        async with store_at(server.url, {"username": "reader", "password": "secret"}) as store:
            assert await read_all(store, await store.open(upload.version)) == weights
            assert (await store.aliases(ADAPTER)).by_name["default"].version == 1
            assert len(await store.events(ADAPTER, 0, timeout_seconds=1)) == 2
            assert (await store.adapters()).adapters == (ADAPTER,)
            with pytest.raises(StoreForbidden, match="forbids SET .*; use a user with the rights"):
                await store.put_chunk(make_upload(weights, 2), 0, weights)
            with pytest.raises(StoreForbidden, match="forbids EVALSHA"):
                await store.set_alias(ADAPTER, "canary", 1, generation=0)
            with pytest.raises(StoreForbidden):
                await store.delete_version(upload.version)
    # it may not ask for the policy either, which is no reason to stop
    assert [line["event"] for line in logs] == ["redis_policy_unknown"]


async def test_a_publisher_has_the_rights_that_the_readme_names(start_server):
    server = start_server()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "publisher", *PUBLISHER)
    async with store_at(server.url, {"username": "publisher", "password": "secret"}) as store:
        await publish_small(store, 1, 2)
        moved = await store.set_alias(ADAPTER, "canary", 2, generation=0)
        await store.remove_alias(ADAPTER, "canary", moved.generation)
        assert await store.collect(ADAPTER, 0) == (2,)


async def test_a_wrong_password_is_a_sentence_without_it(start_server):
    server = start_server()
    with server.client() as client:
        client.config_set("requirepass", "right")
    with pytest.raises(StoreForbidden, match="refuses this user or password") as caught:
        async with store_at(server.url, {"password": "wrong-one", "retries": 0}):
            pass
    assert "wrong-one" not in str(caught.value)


def _begin(fault, server):
    if fault == "restart":
        server.kill()
    else:
        server.pause()


def _end(fault, server):
    if fault == "restart":
        server.start()
    else:
        server.resume()


def _only(update):
    """The one adapter in a state of all."""
    assert isinstance(update, tuple)
    (state,) = update
    return state


async def _fingerprint(store):
    return (await store.versions(ADAPTER))[0].model_fingerprint


def _kill_a_publisher(url):
    """It has sent one chunk, and is killed before the next."""
    command = [sys.executable, "-m", "tests.integration.publisher", url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as publisher:
        assert publisher.stdout
        assert publisher.stdout.readline() == "sent\n"
        publisher.kill()


async def _collect(chunks):
    return [chunk async for chunk in chunks]
