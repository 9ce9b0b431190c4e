"""The sidecar has on disk what aliases point at, checked, and tells the runtime in time, whatever Redis does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest

from protos.scorer.v1 import adapter_registry_pb2 as registry_pb
from scorer.adapters.folder import read_folder
from tests.integration.clients import Client
from tests.integration.feed_client import Aliases, Feed, versions
from tests.integration.registry_client import (
    CONTENTS,
    FINGERPRINT,
    MANIFEST,
    REGISTRY,
    get,
    move,
    publish,
    refusal,
    version,
)
from tests.processes import ROOT
from tests.redis_servers import BOTH_SERVERS

SCORING = ROOT / "scorer" / "scoring.yaml"
SIZE_BYTES = sum(map(len, CONTENTS.values()))


@pytest.fixture
async def registry(start_scorer, redis_server) -> AsyncIterator[Client]:
    """A client of a sidecar that nobody has asked about a model so far."""
    async with Client(start_scorer(SCORING, SCORER_REDIS_URL=redis_server.url).target) as client:
        yield await client.ready(REGISTRY)


async def generation(registry: Client) -> int:
    return next(alias.generation for alias in (await get(registry)).aliases if alias.name == "default")


def serves(number: int) -> Callable[[Aliases], bool]:
    """Whether `default` is at this version."""
    return lambda aliases: versions(aliases).get("default") == number


async def test_published_moved_and_removed_aliases_are_heard_of_with_checked_folders(registry):
    feed = Feed(registry, FINGERPRINT)
    assert await feed.read() == {}
    await publish(registry.channel, version(1), CONTENTS)
    first = await feed.until(lambda aliases: versions(aliases).get("default") == 1)
    canary = registry_pb.AliasMove(alias="canary")
    await publish(registry.channel, version(2), CONTENTS, move_alias=canary)
    both = await feed.until(lambda aliases: versions(aliases).get("canary") == 2)
    await move(registry, 2, await generation(registry))
    await feed.until(lambda aliases: versions(aliases).get("default") == 2)
    name = f"{MANIFEST.adapter}/default"
    assert versions(first) == {"default": 1, name: 1}
    assert versions(both)["default"] == 1
    for alias in both.values():
        bundle = read_folder(Path(alias.adapter.folder), MANIFEST.model_config_fields)
        assert (bundle.manifest.version, bundle.config.lookahead_tokens) == (
            alias.adapter.version,
            alias.adapter.lookahead_tokens,
        )


@BOTH_SERVERS
async def test_feed_stands_while_redis_is_away_and_goes_on_when_it_is_back(registry, redis_server):
    await publish(registry.channel, version(1), CONTENTS)
    await publish(registry.channel, version(2), CONTENTS)
    feed = Feed(registry, FINGERPRINT)
    await feed.until(lambda aliases: versions(aliases).get("default") == 1)
    redis_server.kill()
    while_away = await Feed(registry, FINGERPRINT).read()
    redis_server.start()
    await registry.ready(REGISTRY)
    await move(registry, 2, await generation(registry))
    after = await feed.until(lambda aliases: versions(aliases).get("default") == 2)
    assert versions(while_away)["default"] == 1
    assert not any(alias.problem for alias in after.values())


@BOTH_SERVERS
async def test_damaged_version_is_refused_and_the_one_before_serves_on(registry, redis_server):
    await publish(registry.channel, version(1), CONTENTS)
    await publish(registry.channel, version(2), CONTENTS)
    feed = Feed(registry, FINGERPRINT)
    await feed.until(lambda aliases: versions(aliases).get("default") == 1)
    with redis_server.client() as admin:
        (key,) = [key for key in admin.scan_iter() if b":2:" in key and key.endswith(b":chunk:1")]
        admin.setrange(key, 5, b"damaged")
    await move(registry, 2, await generation(registry))
    refused = (await feed.until(lambda aliases: bool(aliases["default"].problem)))["default"]
    await move(registry, 1, await generation(registry))
    mended = (await feed.until(lambda aliases: not aliases["default"].problem))["default"]
    assert refused.adapter.version == 1 and "version 2 cannot be used: chunk 1 of " in refused.problem
    assert mended.adapter.version == 1


async def test_cache_keeps_to_its_bytes_and_says_when_there_is_no_room(start_scorer, redis_server, tmp_path):
    cache = tmp_path / "cache"
    small = {"SCORER_ADAPTER_CACHE_PATH": cache, "SCORER_ADAPTER_CACHE_BYTES": 2 * SIZE_BYTES + 20_000}
    scorer = start_scorer(SCORING, SCORER_REDIS_URL=redis_server.url, **small)
    async with Client(scorer.target) as registry:
        await registry.ready(REGISTRY)
        feed = Feed(registry, FINGERPRINT)
        for number in (1, 2, 3):
            await publish(registry.channel, version(number), CONTENTS)
            if number > 1:
                await move(registry, number, await generation(registry))
            await feed.until(serves(number))
        await move(registry, 2, 0, "canary")
        await move(registry, 1, 0, "third")
        full = await feed.until(lambda aliases: "third" in aliases and "canary" in aliases)
    assert versions(full)["default"] == 3
    assert sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) <= 2 * SIZE_BYTES + 20_000
    assert "raise SCORER_ADAPTER_CACHE_BYTES" in full["third"].problem


async def test_without_a_registry_the_state_is_empty_and_the_stream_ends_with_the_process(start_scorer):
    scorer = start_scorer(SCORING)
    async with Client(scorer.target) as client:
        feed = Feed(client, FINGERPRINT)
        assert await feed.read() == {}
        scorer.terminate()
        assert await feed.call.read() is grpc.aio.EOF
        assert await asyncio.to_thread(scorer.wait, 4) == 0


@pytest.mark.parametrize("fingerprint", ["", "f1", "../../etc"])
async def test_what_is_no_fingerprint_is_refused(start_scorer, fingerprint):
    async with Client(start_scorer(SCORING).target) as client:
        error = await refusal(Feed(client, fingerprint).read())
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.details().startswith("model_fingerprint: ")
