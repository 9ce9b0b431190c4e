"""A runtime changes its adapters with the registry while it serves, and each report names what scored."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from scorer.adapters.folder import read_files
from tests.engine.adapters import random_adapter
from tests.integration.clients import CONVERGE_SECONDS, NOT_SERVING, SERVING, Client, until
from tests.integration.pairs import NAME, Pair, asked
from tests.integration.registry_client import REGISTRY
from tests.processes import ROOT, free_port
from tests.redis_servers import BOTH_SERVERS
from tests.scraping import value

SCORING = ROOT / "scorer" / "scoring.yaml"
# of the random adapter of the tiny model
WEIGHTS_BYTES = 24_000


def keyed(key: str) -> generation_pb2.GenerateRequest:
    request = asked()
    request.kv.split_key = key
    return request


def shared(info: runtime_pb2.GetModelInfoResponse) -> bool:
    return any(alias.share for alias in info.aliases)


@pytest.fixture
def start_pair(start_scorer, start_runtime, redis_server, tiny_model, tmp_path):
    """start_pair(port, RUNTIME_...=...): a context with a Pair whose sidecar listens on this port."""

    @asynccontextmanager
    async def start(port: int = 0, **variables) -> AsyncIterator[Pair]:
        scorer = start_scorer(SCORING, port, SCORER_REDIS_URL=redis_server.url)
        runtime = start_runtime(RUNTIME_SCORER_TARGET=scorer.target, adapter_load_seconds=0.2, **variables)
        async with Client(scorer.target) as registry, Client(runtime.target) as client:
            await registry.ready(REGISTRY)
            await client.ready()
            folder = random_adapter(tiny_model, tmp_path / "adapter")
            yield Pair(client, registry, *read_files(folder), scorer, runtime)

    return start


@pytest.fixture
async def pair(start_pair) -> AsyncIterator[Pair]:
    async with start_pair() as started:
        yield started


async def test_published_version_takes_over_from_window_and_a_moved_alias_changes_the_next_answers(pair):
    before = await pair.report()
    unready = await pair.runtime.check("adapter")
    await pair.publish(1, 2)
    first = await pair.answers_with(1)
    await pair.move(2)
    second = await pair.answers_with(2)
    await pair.move(1)
    await pair.answers_with(1)
    info = await pair.info()
    assert (before.policy, unready) == ("window", NOT_SERVING)
    assert (first.policy, first.adapter, second.adapter) == ("lookahead", "random", "random")
    assert await pair.runtime.check("adapter") == SERVING
    assert (info.adapter.name, info.adapter.version, "fused" in info.policies) == ("random", 1, True)
    assert list(info.loaded_adapters) == [f"{NAME}/versions/{number}" for number in (1, 2)]


async def test_several_aliases_serve_at_once_and_an_unknown_one_is_window_with_the_known_ones(pair):
    await pair.publish(1)
    await pair.publish(2, alias="canary")
    await pair.publish(3, alias="customer-a")
    await pair.answers_with(3, "customer-a")
    names = ("default", "canary", "customer-a", "random/canary")
    reports = await asyncio.gather(*map(pair.report, names))
    unknown = await pair.report("gone")
    aliases = {alias.name: alias.adapter.version for alias in (await pair.info()).aliases}
    assert [kv.adapter_version for kv in reports] == [1, 2, 3, 2]
    assert (unknown.policy, unknown.adapter) == ("window", "")
    assert "'gone' is no alias of this model's adapters; there are ['canary', " in unknown.reasons[0]
    assert {aliases[name] for name in ("canary", "random/canary")} == {2} and len(aliases) == 6


@BOTH_SERVERS
async def test_answers_go_on_while_aliases_move_and_redis_restarts_and_each_names_a_version_that_was(
    pair, redis_server
):
    await pair.publish(1, 2)
    await pair.answers_with(1)
    seen: list[generation_pb2.KvReport] = []

    async def load() -> None:
        while True:
            seen.append(await pair.report(new_tokens=8))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(load()) for _ in range(4)]
        for number in (2, 1):
            await pair.move(number)
            await pair.answers_with(number)
            redis_server.kill()
            await pair.report()
            redis_server.start()
            await pair.registry.ready(REGISTRY)
        await pair.move(2)
        await pair.answers_with(2)
        for task in tasks:
            task.cancel()
    assert len(seen) > 20
    assert {(kv.policy, kv.adapter) for kv in seen} == {("lookahead", "random")}
    assert {kv.adapter_version for kv in seen} == {1, 2}


async def test_share_of_the_traffic_goes_to_the_canary_sticky_by_key_and_comes_back(pair, start_router):
    await pair.publish(1)
    await pair.publish(2, alias="canary")
    await pair.answers_with(2, "canary")
    await pair.move(2, "canary", share=0.5)
    shares = {alias.name: alias.share for alias in (await until(pair.info, shared, CONVERGE_SECONDS)).aliases}
    keys = [f"user-{number}" for number in range(12)]
    async with Client(start_router(pair.process.target).target) as router:
        await router.ready()
        twice = [[(await client.answer(keyed(key)))[1].kv for key in keys] for client in (pair.runtime, router)]
    first, second = ([(kv.adapter_alias, kv.adapter_version) for kv in reports] for reports in twice)
    await pair.move(2, "canary", share=0)
    await until(pair.info, lambda info: not shared(info), CONVERGE_SECONDS)
    assert shares["canary"] == shares["random/canary"] == 0.5
    assert first == second and set(first) == {("default", 1), ("canary", 2)}
    assert {kv.reasons[0] for kv in twice[1] if kv.adapter_alias == "canary"} == {
        "'canary' has 0.5 of the requests for 'default'"
    }
    assert {(await pair.runtime.answer(keyed(key)))[1].kv.adapter_version for key in keys} == {1}


async def test_router_passes_the_alias_on(pair, start_router):
    await pair.publish(1)
    await pair.publish(2, alias="canary")
    await pair.answers_with(2, "canary")
    async with Client(start_router(pair.process.target).target) as router:
        await router.ready()
        reports = [(await router.answer(asked(name)))[1].kv for name in ("", "canary")]
    assert [kv.adapter_version for kv in reports] == [1, 2]


async def test_runtime_follows_a_sidecar_that_was_restarted(start_pair, start_scorer, redis_server):
    port = free_port()
    async with start_pair(port) as pair:
        await pair.publish(1, 2)
        await pair.answers_with(1)
        pair.sidecar.kill()
        restarted = start_scorer(SCORING, port, SCORER_REDIS_URL=redis_server.url)
        async with Client(restarted.target) as registry:
            await registry.ready(REGISTRY)
            pair.registry = registry
            await pair.move(2)
            # the channel tries again after at most 5 s
            await pair.answers_with(2, seconds=3 * CONVERGE_SECONDS)


async def test_engine_holds_what_it_may_and_changes_for_the_alias_that_is_named(start_pair):
    # room for one
    async with start_pair(RUNTIME_ADAPTER_BYTES=WEIGHTS_BYTES * 3 // 2) as pair:
        await pair.publish(1)
        await pair.answers_with(1)
        await pair.publish(2, alias="canary")
        await until(pair.info, lambda info: len(info.aliases) == 4, CONVERGE_SECONDS)
        first = await pair.report("canary")
        await pair.answers_with(2, "canary")
        held = (await pair.info()).loaded_adapters
        await pair.answers_with(1)
    assert (first.policy, first.adapter) == ("window", "")
    assert "versions/2 is not loaded yet" in first.reasons[0]
    assert list(held) == [f"{NAME}/versions/2"]


async def test_versions_are_counted_apart_and_the_loaded_ones_are_named(pair):
    await pair.publish(1)
    await pair.publish(2, alias="canary")
    await pair.answers_with(1)
    await pair.answers_with(2, "canary")
    for alias, version in (("default", "1"), ("canary", "2")):
        labels = {"alias": alias, "adapter": "random", "version": version, "policy": "lookahead"}
        assert await asyncio.to_thread(value, pair.process, "lookaheadkv_predicted_mass_ratio_count", **labels)
        loaded = {"source": "registry", "adapter": "random", "version": version}
        assert await asyncio.to_thread(value, pair.process, "lookaheadkv_adapter_loaded", **loaded) == 1


async def test_sidecar_that_dies_leaves_the_adapters_as_they_are(pair):
    await pair.publish(1)
    await pair.answers_with(1)
    pair.sidecar.kill()
    assert (await pair.report()).adapter_version == 1
