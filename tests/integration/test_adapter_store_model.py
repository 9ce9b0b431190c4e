"""Whatever is done to the adapter store, in whatever order, it answers as a plain one in memory does."""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from scorer.adapters.errors import AdapterDamaged
from scorer.adapters.redis_leaks import leaked_keys
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import StoreError
from scorer.adapters.store_values import AdapterId, Alias, Upload, VersionId, VersionInfo, split
from tests.adapter_uploads import make_upload, make_weights
from tests.fakes import MemoryAdapterStore
from tests.integration.stores import mortal_keys, store_at
from tests.redis_servers import SERVERS, RedisServer, server_program

ADAPTERS = [AdapterId("us/tiny", "a"), AdapterId("us/tiny", "b")]
WEIGHTS = [make_weights(size, seed=seed) for seed, size in enumerate((0, 40, 50))]

T = TypeVar("T")

adapters = st.sampled_from(ADAPTERS)
# of those that are there
picks = st.integers(0, 5)
numbers = st.integers(1, 3)
weights = st.sampled_from(WEIGHTS)
names = st.sampled_from(["default", "canary", "beta"])
# mostly the true one
shares = st.sampled_from([None] * 5 + [0, 0.3, 0.7, 1.5])
fingerprints = st.sampled_from([None, "0" * 32, make_upload(b"").manifest.model_fingerprint])
generations = st.sampled_from([None] * 4 + [0, 1, 5])


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(server_program(request.param), tmp_path_factory.mktemp("redis"), appendonly="no")
    yield server
    server.kill()


class Comparison(RuleBasedStateMachine):
    """Each rule does the same to both stores and compares what they answer, or how they refuse."""

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.client = self.server.client()
        self.client.flushall()
        self.opened = store_at(self.server.url)
        self.store = self.loop.run(self.opened.__aenter__())
        self.model = MemoryAdapterStore()

    def teardown(self) -> None:
        leaked = self.loop.run(leaked_keys(self.client, self.store, ADAPTERS))
        self.loop.run(self.opened.__aexit__(None, None, None))
        self.client.close()
        self.loop.close()
        assert leaked == []

    @initialize()
    def start_with_two_versions_and_a_way_back(self) -> None:
        # else most rules are refused most of the time
        self.publish(ADAPTERS[0], 1, WEIGHTS[1])
        self.publish(ADAPTERS[0], 2, WEIGHTS[1])
        self.set_alias(ADAPTERS[0], "default", 2, None, None)
        self.set_alias(ADAPTERS[0], "canary", 1, None, None)

    @rule(adapter=adapters, number=numbers, content=weights)
    def publish(self, adapter: AdapterId, number: int, content: bytes) -> None:
        upload = make_upload(content, number, adapter)
        self.both(lambda store: _publish(store, upload, content))

    @rule(adapter=adapters, number=numbers, content=weights)
    def publish_half(self, adapter: AdapterId, number: int, content: bytes) -> None:
        upload = make_upload(content, number, adapter)
        for chunk in split(content):
            self.both(lambda store, chunk=chunk: store.put_chunk(upload, 0, chunk))

    @rule(adapter=adapters, number=numbers, content=weights)
    def damaged_chunk(self, adapter: AdapterId, number: int, content: bytes) -> None:
        self.both(lambda store: store.put_chunk(make_upload(content, number, adapter), 0, content[::-1]))

    @rule(adapter=adapters, number=numbers, content=weights)
    def begin(self, adapter: AdapterId, number: int, content: bytes) -> None:
        self.both(lambda store: store.begin(make_upload(content, number, adapter)))

    @rule(adapter=adapters, number=numbers, content=weights)
    def commit(self, adapter: AdapterId, number: int, content: bytes) -> None:
        self.both(lambda store: _commit(store, make_upload(content, number, adapter)))

    @rule(adapter=adapters, number=numbers, content=weights)
    def abort(self, adapter: AdapterId, number: int, content: bytes) -> None:
        self.both(lambda store: store.abort(make_upload(content, number, adapter)))

    @rule(adapter=adapters, name=names, version=numbers, generation=generations, share=shares)
    def set_alias(
        self, adapter: AdapterId, name: str, version: int, generation: int | None, share: float | None
    ) -> None:
        seen = self.generation(adapter, name) if generation is None else generation
        self.both(lambda store: store.set_alias(adapter, name, version, seen, share))

    @rule(adapter=adapters, name=names, pick=picks)
    def move_to_one_that_is_there(self, adapter: AdapterId, name: str, pick: int) -> None:
        for number in self.one_version(adapter, pick):
            self.set_alias(adapter, name, number, None, None)

    @rule(adapter=adapters, pick=picks)
    def roll_back(self, adapter: AdapterId, pick: int) -> None:
        for alias in self.one_alias(adapter, pick):
            if alias.previous:
                self.set_alias(adapter, alias.name, alias.previous, alias.generation, None)

    @rule(adapter=adapters, pick=picks)
    def remove_one_that_is_there(self, adapter: AdapterId, pick: int) -> None:
        for alias in self.one_alias(adapter, pick):
            self.remove_alias(adapter, alias.name, alias.generation)

    @rule(adapter=adapters, pick=picks)
    def delete_one_that_is_there(self, adapter: AdapterId, pick: int) -> None:
        for number in self.one_version(adapter, pick):
            self.delete(adapter, number)

    @rule(adapter=adapters, name=names, generation=generations)
    def remove_alias(self, adapter: AdapterId, name: str, generation: int | None) -> None:
        seen = self.generation(adapter, name) if generation is None else generation
        self.both(lambda store: store.remove_alias(adapter, name, seen))

    @rule(adapter=adapters, number=numbers)
    def delete(self, adapter: AdapterId, number: int) -> None:
        self.both(lambda store: store.delete_version(VersionId(adapter, number)))

    @rule(adapter=adapters, grace_seconds=st.sampled_from([0, 3600]))
    def collect(self, adapter: AdapterId, grace_seconds: float) -> None:
        self.both(lambda store: store.collect(adapter, grace_seconds))

    @rule(adapter=adapters, after=st.integers(0, 12))
    def events(self, adapter: AdapterId, after: int) -> None:
        self.both(lambda store: store.events(adapter, after, 0))

    @rule(limit=st.integers(1, 3), after=st.sampled_from(["", "us/tiny/a"]), fingerprint=fingerprints)
    def list_adapters(self, limit: int, after: str, fingerprint: str | None) -> None:
        self.both(lambda store: _adapters(store, after, limit, fingerprint))

    @invariant()
    def they_hold_the_same(self) -> None:
        for adapter in ADAPTERS:
            self.both(lambda store, adapter=adapter: _everything(store, adapter))

    @invariant()
    def no_version_expires(self) -> None:
        assert self.loop.run(mortal_keys(self.client, self.store, ADAPTERS)) == []

    def one_alias(self, adapter: AdapterId, pick: int) -> list[Alias]:
        return one_of(list(self.loop.run(self.model.aliases(adapter)).by_name.values()), pick)

    def one_version(self, adapter: AdapterId, pick: int) -> list[int]:
        return one_of([info.number for info in self.loop.run(self.model.versions(adapter))], pick)

    def generation(self, adapter: AdapterId, name: str) -> int:
        aliases = self.loop.run(self.model.aliases(adapter)).by_name
        return aliases[name].generation if name in aliases else 0

    def both(self, call: Any) -> None:
        assert self.loop.run(_outcome(call(self.store))) == self.loop.run(_outcome(call(self.model)))


def one_of(found: list[T], pick: int) -> list[T]:
    """The one that is picked, if there is any."""
    return [found[pick % len(found)]] if found else []


async def _outcome(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await call
    except (StoreError, AdapterDamaged, ValueError) as error:
        # each says it in its own words
        return type(error)


async def _publish(store: AdapterStore, upload: Upload, content: bytes) -> VersionInfo:
    await store.begin(upload)
    for index, chunk in enumerate(split(content)):
        await store.put_chunk(upload, index, chunk)
    return await _commit(store, upload)


async def _commit(store: AdapterStore, upload: Upload) -> VersionInfo:
    return _without_times(await store.commit(upload))


async def _adapters(store: AdapterStore, after: str, limit: int, fingerprint: str | None) -> list[AdapterId]:
    """From `after` to the end; an entry without versions may shorten a page, so pages are put together."""
    found: list[AdapterId] = []
    while True:
        page = await store.adapters(fingerprint, after, limit)
        found += page.adapters
        if not page.next_after:
            return found
        after = page.next_after


async def _everything(store: AdapterStore, adapter: AdapterId) -> Any:
    versions = [_without_times(info) for info in await store.versions(adapter)]
    uploads = [await store.open(VersionId(adapter, info.number)) for info in versions]
    contents = [b"".join([chunk async for chunk in store.read(upload)]) for upload in uploads]
    return versions, uploads, contents, await store.aliases(adapter), await store.next_version(adapter)


def _without_times(info: VersionInfo) -> VersionInfo:
    idle = None if info.idle_since_ms is None else 0
    return replace(info, created_ms=0, idle_since_ms=idle)


def test_redis_answers_as_memory_does(server: RedisServer) -> None:
    machine = type("OnServer", (Comparison,), {"server": server})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            # a failing run is printed as it was: to shrink it takes longer than a test may
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
