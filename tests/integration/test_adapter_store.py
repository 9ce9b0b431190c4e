"""The adapter store on Valkey and on Redis 7: what it promises when everything works."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from scorer.adapters.errors import AdapterDamaged
from scorer.adapters.redis_leaks import leaked_keys
from scorer.adapters.redis_store import RedisAdapterStore
from scorer.adapters.store_errors import (
    AliasMoved,
    EventsLost,
    NotInStore,
    UploadIncomplete,
    VersionExists,
    VersionInUse,
)
from scorer.adapters.store_values import CHUNK_BYTES, AdapterId, Alias, StoreEvent, VersionId, split
from tests.adapter_uploads import ADAPTER, make_upload, make_weights, publish, publish_small, read_all
from tests.integration.stores import mortal_keys, store_at
from tests.redis_servers import SERVERS, RedisServer, server_program


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(server_program(request.param), tmp_path_factory.mktemp("redis"), appendonly="no")
    yield server
    server.kill()


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisAdapterStore]:
    with server.client() as client:
        client.flushall()
    async with store_at(server.url, max_events=1, drain_seconds=60) as store:
        yield store


async def test_what_is_published_is_read_back(store):
    weights = make_weights()
    upload = make_upload(weights)
    info = await publish(store, upload, weights)

    found = await store.open(upload.version)

    assert found == upload
    assert await read_all(store, found) == weights
    assert await store.versions(ADAPTER) == (info,)
    assert (info.number, info.size_bytes, info.idle_since_ms) == (1, len(weights), None)


async def test_nothing_is_visible_before_the_commit(store):
    weights = make_weights()
    upload = make_upload(weights)
    for index, chunk in enumerate(split(weights)):
        await store.put_chunk(upload, index, chunk)

    assert await store.versions(ADAPTER) == ()
    assert (await store.adapters()).adapters == ()
    with pytest.raises(NotInStore, match="us/tiny/news version 1"):
        await store.open(upload.version)


async def test_a_truncated_upload_is_refused_and_goes_on_where_it_was(store):
    weights = make_weights()
    upload = make_upload(weights)
    await store.put_chunk(upload, 1, split(weights)[1])
    with pytest.raises(UploadIncomplete, match="2 of 3 chunks") as caught:
        await store.commit(upload)
    assert caught.value.missing == (0, 2)
    assert await store.versions(ADAPTER) == ()

    assert await store.begin(upload) == {1}
    await publish(store, upload, weights)
    assert await read_all(store, upload) == weights


async def test_a_chunk_with_another_sum_never_gets_in(store, server):
    weights = make_weights()
    upload = make_upload(weights)
    with pytest.raises(AdapterDamaged, match="chunk 0 of us/tiny/news version 1: its sha256"):
        await store.put_chunk(upload, 0, make_weights(len(split(weights)[0]), seed=1))
    with pytest.raises(AdapterDamaged, match=f"has 3 bytes instead of {CHUNK_BYTES}"):
        await store.put_chunk(upload, 0, b"abc")
    with server.client() as client:
        assert client.dbsize() == 0


async def test_a_chunk_that_changed_in_redis_is_found_at_the_commit_and_can_be_sent_again(store, server):
    weights = make_weights(100)
    upload = make_upload(weights)
    await store.put_chunk(upload, 0, weights)
    with server.client() as client:
        (key,) = client.keys()
        client.setrange(key, 50, b"??")

    with pytest.raises(AdapterDamaged, match="as Redis gives it back; send it again"):
        await store.commit(upload)

    assert await store.begin(upload) == frozenset()
    await publish(store, upload, weights)


async def test_a_file_with_another_sum_leaves_nothing_behind(store, server):
    weights, other = make_weights(100), make_weights(100, seed=1)
    true, false = make_upload(weights), make_upload(other)
    lying = type(true)(true.manifest, true.config, false.chunk_sums)
    with pytest.raises(AdapterDamaged, match="sha256 of all chunks"):
        await publish(store, lying, other)
    with server.client() as client:
        assert client.dbsize() == 0


async def test_a_chunk_that_changed_in_redis_is_never_handed_out(store, server):
    weights = make_weights(100)
    upload = make_upload(weights)
    await publish(store, upload, weights)
    with server.client() as client:
        (key,) = client.keys("*:chunk:0")
        client.setrange(key, 50, b"??")
    with pytest.raises(AdapterDamaged, match="chunk 0"):
        await read_all(store, upload)


async def test_an_aborted_upload_leaves_nothing_behind_and_a_version_stays(store, server):
    weights = make_weights(100)
    upload = make_upload(weights)
    await store.put_chunk(upload, 0, weights)
    await store.abort(upload)
    with server.client() as client:
        assert client.dbsize() == 0

    await publish(store, upload, weights)
    await store.abort(upload)
    assert await read_all(store, upload) == weights


async def test_a_commit_whose_answer_was_lost_may_be_repeated(store):
    weights = make_weights(100)
    upload = make_upload(weights)
    first = await publish(store, upload, weights)
    assert await store.commit(upload) == first
    assert (await store.aliases(ADAPTER)).revision == 2


async def test_a_version_that_is_sent_again_stays_for_ever(store, server):
    weights = make_weights(100)
    upload = make_upload(weights)
    await publish(store, upload, weights)
    await store.begin(upload)
    await store.put_chunk(upload, 0, weights)
    await store.commit(upload)
    with server.client() as client:
        assert await mortal_keys(client, store, [ADAPTER]) == []


async def test_of_two_publishers_of_one_version_one_wins_whole(store):
    weights = [make_weights(seed=seed) for seed in (1, 2)]
    uploads = [make_upload(each) for each in weights]
    results = await asyncio.gather(*map(publish, [store, store], uploads, weights), return_exceptions=True)

    (lost,) = [error for error in results if isinstance(error, VersionExists)]
    winner = 0 if results[1] is lost else 1
    assert await store.open(uploads[0].version) == uploads[winner]
    assert await read_all(store, uploads[winner]) == weights[winner]
    with pytest.raises(VersionExists, match="publish it as the next one"):
        await store.begin(uploads[1 - winner])


async def test_the_first_version_becomes_default_and_the_next_does_not(store):
    await publish_small(store, 1, 2)
    aliases = await store.aliases(ADAPTER)
    assert aliases.by_name == {"default": Alias("default", 1, generation=2)}
    assert await store.events(ADAPTER, 0, 0) == (
        StoreEvent(1, "published", 1),
        StoreEvent(2, "alias", 1, "default"),
        StoreEvent(3, "published", 2),
    )
    assert aliases.revision == 3


async def test_an_alias_moves_and_rolls_back(store):
    await publish_small(store, 1, 2)
    moved = await store.set_alias(ADAPTER, "default", 2, generation=2)
    assert (moved.version, moved.previous) == (2, 1)
    back = await store.set_alias(ADAPTER, "default", moved.previous, moved.generation)
    assert (back.version, back.previous) == (1, 2)
    assert (await store.aliases(ADAPTER)).by_name["default"] == back


async def test_of_ten_who_move_an_alias_at_once_one_wins(store):
    await publish_small(store, 1, 2)
    results = await asyncio.gather(
        *(store.set_alias(ADAPTER, "default", 2, generation=2) for _ in range(10)), return_exceptions=True
    )
    assert [type(result) for result in results].count(Alias) == 1
    assert [type(result) for result in results].count(AliasMoved) == 9
    assert (await store.aliases(ADAPTER)).revision == 4


async def test_an_alias_never_points_at_nothing(store):
    await publish_small(store, 1)
    with pytest.raises(NotInStore, match="version 7: is not in the store; 'canary' stays where it is"):
        await store.set_alias(ADAPTER, "canary", 7, generation=0)
    assert set((await store.aliases(ADAPTER)).by_name) == {"default"}


async def test_a_removed_alias_that_comes_back_has_another_generation(store):
    await publish_small(store, 1)
    first = await store.set_alias(ADAPTER, "canary", 1, generation=0)
    await store.remove_alias(ADAPTER, "canary", first.generation)
    second = await store.set_alias(ADAPTER, "canary", 1, generation=0)
    with pytest.raises(AliasMoved, match=f"is at generation {second.generation}, version 1"):
        await store.set_alias(ADAPTER, "canary", 1, first.generation)
    with pytest.raises(ValueError, match="always exists"):
        await store.remove_alias(ADAPTER, "default", 2)


async def test_a_version_in_use_is_not_deleted(store):
    await publish_small(store, 1, 2)
    await store.set_alias(ADAPTER, "canary", 1, generation=0)
    with pytest.raises(VersionInUse, match="canary, default points at it; move the alias first"):
        await store.delete_version(VersionId(ADAPTER, 1))
    await store.delete_version(VersionId(ADAPTER, 2))
    assert [version.number for version in await store.versions(ADAPTER)] == [1]


async def test_there_is_no_way_back_to_a_deleted_version(store):
    await publish_small(store, 1, 2)
    await store.set_alias(ADAPTER, "default", 2, generation=2)
    await store.delete_version(VersionId(ADAPTER, 1))
    assert (await store.aliases(ADAPTER)).by_name["default"] == Alias("default", 2, generation=4)


async def test_a_version_that_lost_its_last_alias_is_idle(store):
    await publish_small(store, 1, 2)
    canary = await store.set_alias(ADAPTER, "canary", 2, generation=0)
    assert (await store.versions(ADAPTER))[1].idle_since_ms is None
    await store.remove_alias(ADAPTER, "canary", canary.generation)
    assert await store.collect(ADAPTER, 0) == (2,)


async def test_who_reads_a_version_when_it_is_deleted_may_finish(store, server):
    weights = make_weights()
    upload = make_upload(weights, 2)
    await publish_small(store, 1)
    await publish(store, upload, weights)
    chunks = store.read(upload)
    first = await anext(chunks)
    await store.delete_version(upload.version)

    assert first + b"".join([chunk async for chunk in chunks]) == weights
    with pytest.raises(NotInStore):
        await store.open(upload.version)
    with server.client() as client:
        assert await leaked_keys(client, store, [ADAPTER]) == []


async def test_a_number_is_never_used_again(store):
    await publish_small(store, 1, 2)
    await store.delete_version(VersionId(ADAPTER, 2))
    assert await store.next_version(ADAPTER) == 3
    upload = make_upload(make_weights(50), 2)
    with pytest.raises(VersionExists, match="may be deleted"):
        await store.begin(upload)
    await store.put_chunk(upload, 0, make_weights(50))
    with pytest.raises(VersionExists):
        await store.commit(upload)


async def test_only_what_no_alias_needs_is_collected_and_only_after_the_grace(store, server):
    await publish_small(store, 1, 2, 3)
    await store.set_alias(ADAPTER, "default", 2, generation=2)
    # 1 is where `default` would roll back to
    assert [version.idle_since_ms is None for version in await store.versions(ADAPTER)] == [True, True, False]
    assert await store.collect(ADAPTER, 3600) == ()
    assert await store.collect(ADAPTER, 0) == (3,)
    assert [version.number for version in await store.versions(ADAPTER)] == [1, 2]
    with server.client() as client:
        assert await leaked_keys(client, store, [ADAPTER]) == []


async def test_adapters_are_listed_in_pages_and_by_model(store):
    adapters = [AdapterId("us/tiny", name) for name in ("a", "b", "c")]
    for adapter in adapters:
        await publish_small(store, 1, adapter=adapter)
    other = make_weights(10)
    await store.put_chunk(make_upload(other, adapter=AdapterId("us", "abandoned")), 0, other)

    page = await store.adapters(limit=2)
    assert page.adapters == tuple(adapters[:2])
    assert (await store.adapters(after=page.next_after, limit=2)).adapters == (adapters[2],)
    fingerprint = (await store.versions(adapters[0]))[0].model_fingerprint
    assert (await store.adapters(fingerprint)).adapters == tuple(adapters)
    assert (await store.adapters("0" * 32)).adapters == ()


async def test_a_reader_who_waits_is_told_at_once(store):
    await publish_small(store, 1)
    waiting = asyncio.create_task(store.events(ADAPTER, 2, timeout_seconds=30))
    moved = await store.set_alias(ADAPTER, "canary", 1, generation=0)
    assert await asyncio.wait_for(waiting, 10) == (StoreEvent(moved.generation, "alias", 1, "canary"),)


async def test_a_reader_who_waits_in_vain_is_told_nothing(store):
    await publish_small(store, 1)
    assert await store.events(ADAPTER, 2, timeout_seconds=0.05) == ()


async def test_a_reader_whom_the_stream_has_passed_is_told_to_read_the_aliases(store):
    await publish_small(store, 1)
    alias = await store.set_alias(ADAPTER, "canary", 1, generation=0)
    for _ in range(250):
        alias = await store.set_alias(ADAPTER, "canary", 1, alias.generation)
    with pytest.raises(EventsLost, match="read the aliases again"):
        await store.events(ADAPTER, 2, timeout_seconds=0)

    revision = (await store.aliases(ADAPTER)).revision
    assert await store.events(ADAPTER, revision, timeout_seconds=0) == ()
    await store.set_alias(ADAPTER, "canary", 1, alias.generation)
    assert [event.number for event in await store.events(ADAPTER, revision, timeout_seconds=0)] == [revision + 1]


async def test_a_reader_of_a_redis_that_went_back_is_told_so(store):
    await publish_small(store, 1)
    with pytest.raises(EventsLost, match="behind number 9 are gone"):
        await store.events(ADAPTER, 9, timeout_seconds=0)
