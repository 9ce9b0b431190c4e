"""What Redis does to those who publish, move, read and follow adapters: all goes on, or a sentence says why not."""

import asyncio
import subprocess
import sys

from google.rpc import error_details_pb2
from grpc import StatusCode

from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters.manifest import WEIGHTS_FILE
from scorer.adapters.redis_keys import AdapterKeys
from scorer.adapters.store_values import AdapterId, Upload, VersionId
from tests.integration.clients import CONVERGE_SECONDS, NOT_SERVING, SERVING, Client, until
from tests.integration.links import BREAKS, FAULTS, end, request
from tests.integration.registry_client import (
    CONTENTS,
    FINGERPRINT,
    MANIFEST,
    NAME,
    REGISTRY,
    SHIPPED,
    describe,
    details,
    get,
    move,
    nothing_is_visible,
    parts,
    publish,
    refusal,
    stub,
    version,
)
from tests.integration.stores import store_at
from tests.integration.test_scorer import SCORING
from tests.processes import AT_DEADLINE, ROOT
from tests.redis_servers import RedisServer

WEIGHTS = CONTENTS[WEIGHTS_FILE]
ADAPTER = AdapterId(MANIFEST.model, MANIFEST.adapter)
UPLOAD = Upload.of(MANIFEST, *CONTENTS.values())
THIRD_CHUNK = AdapterKeys(ADAPTER).chunk(UPLOAD, 2)


async def kept(server: RedisServer) -> tuple[list[int], list[tuple[str, int]]]:
    """The versions in the store, and all its events."""
    async with store_at(server.url) as store:
        versions = [info.number for info in await store.versions(ADAPTER)]
        return versions, [(event.kind, event.version) for event in await store.events(ADAPTER, 0, 0)]


@FAULTS
async def test_publish_outlives_a_fault_between_two_chunks(registry, server, link, fault):
    link.cut(before=request("SET", THIRD_CHUNK))
    publishing = asyncio.create_task(publish(registry.channel, MANIFEST, CONTENTS))
    await asyncio.to_thread(link.wait_until_cut)
    meanwhile = await kept(server)
    await end(fault, server, link)
    response = await asyncio.wait_for(publishing, CONVERGE_SECONDS)
    assert meanwhile == ([], [])
    assert response.version.number == 1
    assert await kept(server) == ([1], [("published", 1), ("alias", 1)])


@BREAKS
async def test_version_whose_commit_was_answered_into_the_void_is_published_once(registry, server, link, fault):
    await publish(registry.channel, MANIFEST, CONTENTS)
    # the script is known by now, so this is the one command that commits
    link.cut(behind=b"EVALSHA")
    publishing = asyncio.create_task(publish(registry.channel, version(2), CONTENTS))
    await asyncio.to_thread(link.wait_until_cut)
    await until(lambda: kept(server), lambda found: 2 in found[0], CONVERGE_SECONDS)
    await end(fault, server, link)
    response = await asyncio.wait_for(publishing, CONVERGE_SECONDS)
    assert response.version.number == 2
    assert await kept(server) == ([1, 2], [("published", 1), ("alias", 1), ("published", 2)])


@FAULTS
async def test_alias_moves_though_the_request_was_held_or_lost(registry, server, link, fault):
    generation = await publish_two(registry)
    link.cut(before=b"EVALSHA")
    moving = asyncio.create_task(move(registry, 2, generation))
    await end(fault, server, link)
    alias = await asyncio.wait_for(moving, CONVERGE_SECONDS)
    assert (alias.version, alias.previous) == (2, 1)
    assert (await kept(server))[1][3:] == [("alias", 2)]


@BREAKS
async def test_alias_whose_move_was_answered_into_the_void_moves_once(registry, server, link, fault):
    # so that its script is known
    await move(registry, 1, await publish_two(registry))
    generation = (await get(registry)).aliases[0].generation
    link.cut(behind=b"EVALSHA")
    moving = asyncio.create_task(move(registry, 2, generation))
    await until(lambda: kept(server), lambda found: ("alias", 2) in found[1], CONVERGE_SECONDS)
    await end(fault, server, link)
    alias = await asyncio.wait_for(moving, CONVERGE_SECONDS)
    assert (alias.version, alias.previous, alias.generation) == (2, 1, generation + 1)
    assert (await kept(server))[1][3:] == [("alias", 1), ("alias", 2)]


async def publish_two(registry: Client) -> int:
    """The generation of `default`, which is at the first of two versions."""
    await publish(registry.channel, MANIFEST, CONTENTS)
    await publish(registry.channel, version(2), CONTENTS)
    return (await get(registry)).aliases[0].generation


@FAULTS
async def test_download_goes_on_behind_a_fault_between_two_chunks(registry, server, link, fault):
    await publish(registry.channel, MANIFEST, CONTENTS)
    link.cut(before=request("GET", THIRD_CHUNK))
    call = stub(registry.channel).DownloadAdapter(pb.DownloadAdapterRequest(name=NAME))
    reading = asyncio.create_task(weights_in(call))
    await end(fault, server, link)
    assert await asyncio.wait_for(reading, CONVERGE_SECONDS) == WEIGHTS


async def weights_in(call):
    """All that a download sends."""
    return b"".join([response.piece.content async for response in call])


async def test_publisher_that_lost_patience_in_a_partition_leaves_nothing_visible_and_goes_on(registry, server, link):
    link.cut(before=request("SET", THIRD_CHUNK))
    description = describe(MANIFEST, CONTENTS)
    error = await refusal(stub(registry.channel).PublishAdapter(parts(description, WEIGHTS), timeout=0.5))
    meanwhile = await kept(server)
    link.mend()
    hidden = await nothing_is_visible(registry)
    begun = await stub(registry.channel).BeginPublish(pb.BeginPublishRequest(description=description))
    response = await asyncio.wait_for(publish(registry.channel, MANIFEST, CONTENTS), CONVERGE_SECONDS)
    assert error.code() in AT_DEADLINE
    assert (meanwhile, hidden, response.version.number) == (([], []), True, 1)
    # whether the third came through nobody knows
    assert set(begun.missing_chunks) - {2} == set(range(3, len(UPLOAD.chunk_sums)))


async def test_redis_that_is_away_is_told_and_can_be_used_again_in_time(registry, server):
    generation = await publish_two(registry)
    server.kill()
    error, _ = await asyncio.gather(
        refusal(stub(registry.channel).GetAdapter(pb.GetAdapterRequest(name=NAME))),
        until(lambda: registry.check(REGISTRY), lambda status: status == NOT_SERVING),
    )
    meanwhile = await registry.check(SCORING)
    server.start()
    await until(lambda: registry.check(REGISTRY), lambda status: status == SERVING, CONVERGE_SECONDS)
    assert error.code() == StatusCode.UNAVAILABLE and "try again later" in error.details()
    assert details(error, error_details_pb2.RetryInfo)
    assert meanwhile == SERVING
    assert (await move(registry, 2, generation)).version == 2


async def test_full_store_is_told_with_no_advice_to_wait_and_takes_the_same_version_later(registry, server):
    await publish(registry.channel, MANIFEST, CONTENTS)
    generation = (await get(registry)).aliases[0].generation
    with server.client() as admin:
        # for the first chunks of the next version
        admin.config_set("maxmemory", admin.info("memory")["used_memory"] + len(WEIGHTS) // 2)
        error = await refusal(publish(registry.channel, version(2), CONTENTS))
        meanwhile = await kept(server)
        admin.config_set("maxmemory", 1)
        moved = await refusal(move(registry, 1, generation))
        admin.config_set("maxmemory", 0)
    response = await publish(registry.channel, version(2), CONTENTS)
    assert {error.code(), moved.code()} == {StatusCode.RESOURCE_EXHAUSTED}
    assert not details(error, error_details_pb2.RetryInfo)
    assert "is full" in error.details() and "raise maxmemory, or delete what is not needed" in error.details()
    assert meanwhile[0] == [1] and response.version.number == 2


async def test_publisher_that_was_killed_between_two_chunks_leaves_nothing_visible_and_goes_on(registry, server, link):
    link.cut(before=request("SET", THIRD_CHUNK))
    killed = await publisher(link.url)
    await asyncio.to_thread(link.wait_until_cut)
    killed.kill()
    await killed.wait()
    link.drop()
    hidden = await nothing_is_visible(registry)
    async with store_at(server.url) as store:
        there = await store.begin(UPLOAD)
    output, _ = await (await publisher(server.url)).communicate()
    assert hidden and there == {0, 1}
    assert output.decode() == f"published {VersionId(ADAPTER, 1)}\n"
    assert (await kept(server))[0] == [1]


async def publisher(url: str) -> asyncio.subprocess.Process:
    """A process that publishes the shipped adapter."""
    command = [sys.executable, "-m", "services.cli.main", "adapters", "publish", str(SHIPPED), "--redis-url", url]
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)


async def test_watch_sends_the_state_then_changes_and_the_state_again_to_a_reader_whom_the_stream_has_passed(
    registry, server, link
):
    generation = await publish_two(registry)
    watch = stub(registry.channel).WatchAdapters(pb.WatchAdaptersRequest(model_fingerprint=FINGERPRINT))
    first = await watch.read()
    alias = await move(registry, 2, generation)
    second = await watch.read()
    link.cut()
    generation = await move_often(server, alias.generation)
    link.mend()
    third = await asyncio.wait_for(watch.read(), CONVERGE_SECONDS)
    assert [adapter.name for adapter in first.state.adapters] == [NAME]
    assert [(event.kind, event.version) for event in second.change.events] == [(pb.ADAPTER_EVENT_KIND_ALIAS, 2)]
    assert second.change.adapter.aliases[0] == alias
    assert third.WhichOneof("update") == "state"
    assert third.state.adapters[0].revision == generation


async def move_often(server: RedisServer, generation: int) -> int:
    """The generation after so many moves that the first of them are no longer told of."""
    async with store_at(server.url, max_events=1) as store:
        for _ in range(250):
            generation = (await store.set_alias(ADAPTER, "default", 1, generation)).generation
    return generation


@FAULTS
async def test_watch_sees_a_new_adapter_and_outlives_a_fault(registry, server, link, fault):
    watch = stub(registry.channel).WatchAdapters(pb.WatchAdaptersRequest(model_fingerprint=FINGERPRINT))
    first = await watch.read()
    await publish(registry.channel, MANIFEST, CONTENTS)
    second = await watch.read()
    link.cut()
    await end(fault, server, link)
    alias = await move(registry, 1, (await get(registry)).aliases[0].generation)
    await until(
        lambda: adapters_in(watch),
        lambda adapters: any(alias in adapter.aliases for adapter in adapters),
        CONVERGE_SECONDS,
    )
    assert not first.state.adapters
    assert [info.number for info in second.change.adapter.versions] == [1]


async def adapters_in(watch):
    """Those that the next message of a watch is about."""
    update = await watch.read()
    return [update.change.adapter] if update.HasField("change") else update.state.adapters
