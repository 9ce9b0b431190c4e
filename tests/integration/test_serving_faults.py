"""Whatever happens to Redis or to an adapter in it, answers go on with the last good version, and then the new one."""

import asyncio
import pickle
import struct
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import grpc
import pytest
from grpc import StatusCode

from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters import publishing
from scorer.adapters.folder import read_files, save_folder
from scorer.adapters.manifest import WEIGHTS_FILE, Files, Manifest, model_identity
from scorer.adapters.redis_keys import AdapterKeys
from scorer.adapters.store_values import AdapterId, Upload
from tests import adapter_uploads
from tests.engine.adapters import random_adapter
from tests.integration.clients import CONVERGE_SECONDS, Client, until
from tests.integration.links import FAULTS, Link, end, request
from tests.integration.pairs import NAME, Pair
from tests.integration.registry_client import REGISTRY, publish, refusal, stub
from tests.integration.stores import all_leaked_keys, store_at
from tests.processes import ROOT
from tests.redis_servers import RedisServer

ADAPTER = AdapterId("tiny", "random")
# the only one while nothing is wrong
REASON = "the request asked for 100 tokens"


@dataclass
class Stage(Pair):
    """`default` is at `good`, which scores; `new` is published, and nothing points at it."""

    server: RedisServer
    link: Link
    good: int

    @property
    def new(self) -> int:
        return self.good + 1

    def version(self, number: int, **changes) -> Manifest:
        return self.manifest.model_copy(update={"version": number, **changes})

    def chunk(self, number: int) -> str:
        """The key of the only chunk of a version."""
        return AdapterKeys(ADAPTER).chunk(Upload.of(self.version(number), *self.contents.values()), 0)

    async def point(self, number: int) -> None:
        """As somebody elsewhere does it, whom the cut link does not concern."""
        async with store_at(self.server.url) as store:
            current = (await store.aliases(ADAPTER)).by_name["default"]
            await store.set_alias(ADAPTER, "default", number, current.generation)

    async def answers_go_on(self) -> None:
        """With the good version, and nothing to say about it."""
        kv = await self.report()
        assert (kv.policy, kv.adapter_version, list(kv.reasons)) == ("lookahead", self.good, [REASON])

    async def visible(self) -> list[int]:
        async with store_at(self.server.url) as store:
            return [info.number for info in await store.versions(ADAPTER)]


@pytest.fixture(scope="module")
def files(tiny_model, tmp_path_factory):
    return read_files(random_adapter(tiny_model, tmp_path_factory.mktemp("adapters") / "random"))


@pytest.fixture
async def stage(each_server, link, sidecar, follower, files) -> AsyncIterator[Stage]:
    """With two versions that no test had before; the engine and the cache keep those of others."""
    each_server.heal()
    manifest, contents = files
    async with Client(sidecar.target) as registry, Client(follower.target) as runtime:
        await registry.ready(REGISTRY)
        await runtime.ready()
        async with store_at(each_server.url) as store:
            good = await store.next_version(ADAPTER)
            for number in (good, good + 1):
                await publishing.publish(store, manifest.model_copy(update={"version": number}), contents)
        started = Stage(runtime, registry, manifest, contents, sidecar, follower, each_server, link, good)
        await started.point(good)
        await started.answers_with(good)
        yield started
    each_server.heal()
    assert await all_leaked_keys(each_server) == []


@FAULTS
async def test_version_that_was_being_fetched_takes_over_when_redis_is_back(stage, fault):
    stage.link.cut(behind=request("GET", stage.chunk(stage.new)))
    await stage.point(stage.new)
    await asyncio.to_thread(stage.link.wait_until_cut)
    await stage.answers_go_on()
    await end(fault, stage.server, stage.link)
    await stage.answers_with(stage.new)


@FAULTS
@pytest.mark.parametrize("moves", [0, 250], ids=["few events", "events that are gone"])
async def test_alias_that_moved_while_the_sidecar_was_cut_off_is_followed_when_redis_is_back(stage, fault, moves):
    stage.link.cut()
    async with store_at(stage.server.url, max_events=1) as store:
        alias = (await store.aliases(ADAPTER)).by_name["default"]
        for _ in range(moves):
            alias = await store.set_alias(ADAPTER, "default", stage.good, alias.generation)
    await stage.point(stage.new)
    await stage.answers_go_on()
    await end(fault, stage.server, stage.link)
    await stage.answers_with(stage.new)


@FAULTS
async def test_version_whose_publishing_was_interrupted_by_redis_is_whole_and_takes_over(stage, fault):
    number = stage.new + 1
    stage.link.cut(before=request("SET", stage.chunk(number)))
    publishing_it = asyncio.create_task(stage.publish(number))
    await asyncio.to_thread(stage.link.wait_until_cut)
    assert number not in await stage.visible()
    await stage.answers_go_on()
    await end(fault, stage.server, stage.link)
    await asyncio.wait_for(publishing_it, CONVERGE_SECONDS)
    await stage.answers_go_on()
    await stage.move(number)
    await stage.answers_with(number)


@FAULTS
async def test_alias_that_was_being_moved_by_the_sidecar_moves_when_redis_is_back(stage, fault):
    stage.link.cut(before=b"EVALSHA")
    moving = asyncio.create_task(stage.move(stage.new))
    await asyncio.to_thread(stage.link.wait_until_cut)
    await stage.answers_go_on()
    await end(fault, stage.server, stage.link)
    await stage.answers_with(stage.new)
    await moving


async def test_full_redis_refuses_to_publish_and_to_move_and_takes_both_when_there_is_room(stage):
    number = stage.new + 1
    with stage.server.client() as admin:
        admin.config_set("maxmemory", 1)
        errors = [await refusal(stage.publish(number)), await refusal(stage.move(stage.new))]
        assert number not in await stage.visible()
        await stage.answers_go_on()
        admin.config_set("maxmemory", 0)
    await stage.publish(number)
    await stage.move(number)
    await stage.answers_with(number)
    assert {error.code() for error in errors} == {StatusCode.RESOURCE_EXHAUSTED}
    assert all("is full" in error.details() for error in errors)


async def test_of_two_publishers_of_one_alias_the_winner_takes_over(stage):
    adapter = (await stub(stage.registry.channel).GetAdapter(pb.GetAdapterRequest(name=NAME))).adapter
    move = pb.AliasMove(alias="default", generation=adapter.aliases[0].generation)
    numbers = (stage.new + 1, stage.new + 2)
    calls = [
        publish(stage.registry.channel, stage.version(number), stage.contents, move_alias=move) for number in numbers
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    (winner,) = [answer.alias.version for answer in answers if isinstance(answer, pb.PublishAdapterResponse)]
    (lost,) = [answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    await stage.answers_with(winner)
    assert lost == StatusCode.ABORTED


async def test_publisher_that_was_killed_changes_nothing_until_the_same_command_is_given_again(stage, tmp_path):
    number = stage.new + 1
    save_folder(tmp_path / "adapter", stage.version(number), stage.contents)
    command = [sys.executable, "-m", "services.cli.main", "adapters", "publish", str(tmp_path / "adapter")]
    command += ["--alias", "default", "--redis-url"]
    stage.link.cut(behind=request("SET", stage.chunk(number)))
    killed = await asyncio.create_subprocess_exec(*command, stage.link.url, cwd=ROOT)
    await asyncio.to_thread(stage.link.wait_until_cut)
    killed.kill()
    await killed.wait()
    stage.link.drop()
    assert number not in await stage.visible()
    await stage.answers_go_on()
    again = await asyncio.create_subprocess_exec(*command, stage.server.url, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    output, _ = await again.communicate()
    await stage.answers_with(number)
    assert output.decode().startswith(f"published {ADAPTER} version {number}; default is version {number}")


def nan(weights: bytes) -> bytes:
    return weights[:-4] + struct.pack("<f", float("nan"))


# weights that the store takes, for it looks at their sums only, and what is said about them
BAD_WEIGHTS = {
    "NaN": (nan, "has a number that is not finite"),
    "pickle": (lambda weights: pickle.dumps({"weights": [0.0] * 100}), "is not a safetensors file"),
    "10 GB header": (lambda weights: struct.pack("<Q", 10 << 30) + b"{}", "its header would have 10737418240 bytes"),
    "empty": (lambda weights: b"", "is not a safetensors file"),
    "truncated": (lambda weights: weights[:-1], "is not a safetensors file: its tensors end at byte"),
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
async def test_alias_that_points_at_bytes_that_are_no_adapter_stays_with_the_good_version(stage, kind):
    spoil, sentence = BAD_WEIGHTS[kind]
    number, contents = stage.new + 1, stage.contents | {WEIGHTS_FILE: spoil(stage.contents[WEIGHTS_FILE])}
    bad = stage.version(number, files=Files.of(contents))
    async with store_at(stage.server.url) as store:
        upload = Upload.of(bad, *contents.values())
        await adapter_uploads.publish(store, upload, contents[WEIGHTS_FILE])
    await is_refused_and_mended(stage, number, sentence)


async def test_alias_that_moves_to_a_version_for_another_model_stays_with_the_good_one(stage):
    fields = stage.manifest.model_config_fields
    other = stage.version(stage.new + 1, **model_identity({**fields, "num_hidden_layers": 5}))
    async with store_at(stage.server.url) as store:
        await adapter_uploads.publish(store, Upload.of(other, *stage.contents.values()), stage.contents[WEIGHTS_FILE])
        # one that was never for this model is none of its aliases
        await store.set_alias(ADAPTER, "other-model", other.version, 0)
    await is_refused_and_mended(stage, other.version, "it is for another model; move the alias")
    assert "other-model" not in {alias.name for alias in (await stage.info()).aliases}


DAMAGES = {
    "wrong sum": lambda admin, key: admin.setrange(key, 5, b"damaged"),
    "truncated": lambda admin, key: admin.set(key, admin.get(key)[:-1]),
    "gone": lambda admin, key: admin.delete(key),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_alias_that_points_at_a_version_that_was_damaged_in_redis_stays_with_the_good_one(stage, damage):
    with stage.server.client() as admin:
        DAMAGES[damage](admin, stage.chunk(stage.new))
    await is_refused_and_mended(stage, stage.new, "chunk 0 of")


async def is_refused_and_mended(stage: Stage, number: int, sentence: str) -> None:
    """The report says why this version is not used, until the alias moves on."""
    await stage.point(number)
    kv = await until(stage.report, lambda kv: list(kv.reasons) != [REASON], CONVERGE_SECONDS)
    assert (kv.policy, kv.adapter_version) == ("lookahead", stage.good)
    assert f"version {number} cannot be used: " in kv.reasons[0] and sentence in kv.reasons[0]
    later = replace(stage, good=number)
    await stage.publish(later.new)
    await stage.move(later.new)
    assert list((await stage.answers_with(later.new)).reasons) == [REASON]
