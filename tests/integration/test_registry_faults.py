"""What goes wrong between a publisher, the adapter registry and its store: a clear error, and nothing half visible."""

import asyncio
import pickle
import struct
import threading

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc import StatusCode
from grpc_status import rpc_status

from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters.manifest import WEIGHTS_FILE, Files, model_identity
from scorer.adapters.store_values import CHUNK_BYTES, chunk_count
from tests.integration.clients import NOT_SERVING, SERVING, Client, until
from tests.integration.registry_client import (
    CONTENTS,
    FINGERPRINT,
    MANIFEST,
    NAME,
    REGISTRY,
    describe,
    get,
    move,
    parts,
    publish,
    refusal,
    stub,
    version,
)
from tests.integration.test_scorer import SCORING
from tests.processes import ROOT, free_port
from tests.redis_servers import BOTH_SERVERS

WEIGHTS = CONTENTS[WEIGHTS_FILE]
CHUNKS = list(range(chunk_count(len(WEIGHTS))))


def with_weights(weights: bytes, **changes):
    """A manifest that tells the truth about these weights."""
    contents = CONTENTS | {WEIGHTS_FILE: weights}
    return version(1, files=Files.of(contents), **changes), contents


def details(error: grpc.aio.AioRpcError, kind):
    status = rpc_status.from_call(error)
    found = kind()
    return next((found for detail in status.details if detail.Unpack(found)), None) if status else None


async def nothing_is_visible(registry: Client) -> bool:
    error = await refusal(stub(registry.channel).GetAdapter(pb.GetAdapterRequest(name=NAME)))
    listed = await stub(registry.channel).ListAdapters(pb.ListAdaptersRequest())
    return error.code() == StatusCode.NOT_FOUND and not listed.adapters


def nan_weights() -> bytes:
    return WEIGHTS[:-2] + b"\xc0\x7f"


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (nan_weights(), "has a number that is not finite"),
        (pickle.dumps({"weights": [0.0] * 100}), "is not a safetensors file"),
        (struct.pack("<Q", 10 << 30) + b"{}", "its header would have 10737418240 bytes"),
        (b"", "is not a safetensors file"),
    ],
    ids=["NaN", "pickle", "10 GB header", "empty"],
)
@BOTH_SERVERS
async def test_file_that_is_no_adapter_is_refused_and_leaves_nothing(registry, weights, sentence):
    error = await refusal(publish(registry.channel, *with_weights(weights)))
    assert (error.code(), sentence in error.details()) == (StatusCode.INVALID_ARGUMENT, True)
    assert await nothing_is_visible(registry)


@BOTH_SERVERS
async def test_truncated_upload_is_refused_and_tells_what_is_missing(registry):
    call = stub(registry.channel).PublishAdapter(parts(describe(MANIFEST, CONTENTS), WEIGHTS[:-1]))
    error = await refusal(call)
    assert error.code() == StatusCode.FAILED_PRECONDITION
    assert details(error, error_details_pb2.ErrorInfo).metadata["missing_chunks"] == str(CHUNKS[-1])
    assert await nothing_is_visible(registry)


@BOTH_SERVERS
@pytest.mark.parametrize("at", [100, CHUNK_BYTES])
async def test_wrong_sum_is_refused(registry, at):
    damaged = WEIGHTS[:at] + bytes([WEIGHTS[at] ^ 1]) + WEIGHTS[at + 1 :]
    error = await refusal(stub(registry.channel).PublishAdapter(parts(describe(MANIFEST, CONTENTS), damaged)))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert "its sha256 is not the published one" in error.details()
    assert await nothing_is_visible(registry)


@BOTH_SERVERS
async def test_wrong_model_is_refused(registry):
    error = await refusal(publish(registry.channel, MANIFEST, CONTENTS, model_fingerprint="0" * 32))
    fields = MANIFEST.model_config_fields | {"hidden_size": 1152}
    misfit = await refusal(publish(registry.channel, version(1, **model_identity(fields)), CONTENTS))
    assert error.code() == StatusCode.FAILED_PRECONDITION
    assert details(error, error_details_pb2.ErrorInfo).reason == "ADAPTER_MISMATCH"
    assert misfit.code() == StatusCode.INVALID_ARGUMENT and "has shape" in misfit.details()
    assert await nothing_is_visible(registry)


@BOTH_SERVERS
async def test_two_publishers_of_one_alias_one_wins_and_the_other_is_told(registry):
    await publish(registry.channel, MANIFEST, CONTENTS)
    before = next(alias for alias in (await get(registry)).aliases if alias.name == "default")
    moved = pb.AliasMove(alias="default", generation=before.generation)
    calls = [publish(registry.channel, version(number), CONTENTS, move_alias=moved) for number in (2, 3)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    (winner,) = [answer for answer in answers if isinstance(answer, pb.PublishAdapterResponse)]
    (loser,) = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    adapter = await get(registry)
    assert loser.code() == StatusCode.ABORTED
    assert {alias.name: alias.version for alias in adapter.aliases} == {"default": winner.version.number}


async def test_alias_that_is_no_name_is_refused_before_the_version_is_published(registry):
    error = await refusal(publish(registry.channel, MANIFEST, CONTENTS, move_alias=pb.AliasMove(alias="No Name")))
    assert (error.code(), error.details().startswith("alias: ")) == (StatusCode.INVALID_ARGUMENT, True)
    assert await nothing_is_visible(registry)


async def test_number_that_is_used_is_refused(registry):
    await publish(registry.channel, MANIFEST, CONTENTS)
    error = await refusal(publish(registry.channel, version(1, training_tag="other"), CONTENTS))
    assert error.code() == StatusCode.ALREADY_EXISTS
    assert "publish it as the next one" in error.details()


@BOTH_SERVERS
async def test_client_that_vanished_between_chunks_goes_on(registry):
    rpc, description = stub(registry.channel), describe(MANIFEST, CONTENTS)

    async def begin():
        return list((await rpc.BeginPublish(pb.BeginPublishRequest(description=description))).missing_chunks)

    async def stuck():
        async for part in parts(description, WEIGHTS[:CHUNK_BYTES]):
            yield part
        await asyncio.Event().wait()

    assert await begin() == CHUNKS
    call = rpc.PublishAdapter(stuck())
    await until(begin, lambda missing: missing == CHUNKS[1:])
    call.cancel()
    assert await nothing_is_visible(registry)
    response = await rpc.PublishAdapter(parts(description, WEIGHTS, start=CHUNK_BYTES))
    assert response.version.number == 1


@BOTH_SERVERS
@pytest.mark.parametrize("fault", ["restart", "partition"])
async def test_publish_outlives_a_fault_of_redis_between_two_chunks(registry, redis_server, fault):
    async def interrupted():
        async for part in parts(describe(MANIFEST, CONTENTS), WEIGHTS):
            if part.piece.offset > CHUNK_BYTES and not happened:
                happened.append(fault)
                await asyncio.to_thread(strike, redis_server, fault)
            yield part

    happened: list[str] = []
    response = await stub(registry.channel).PublishAdapter(interrupted())
    redis_server.resume()
    assert (happened, response.version.number) == ([fault], 1)


@BOTH_SERVERS
@pytest.mark.parametrize("fault", ["restart", "partition"])
async def test_download_outlives_a_fault_of_redis(registry, redis_server, fault):
    await publish(registry.channel, MANIFEST, CONTENTS)
    weights, happened = b"", False
    async for response in stub(registry.channel).DownloadAdapter(pb.DownloadAdapterRequest(name=NAME)):
        weights += response.piece.content
        if weights and not happened:
            happened = True
            await asyncio.to_thread(strike, redis_server, fault)
    redis_server.resume()
    assert weights == WEIGHTS


def strike(redis_server, fault):
    """Kill and start it, or let nothing through for a moment that is shorter than a command may last."""
    if fault == "restart":
        redis_server.kill()
        redis_server.start()
    else:
        redis_server.pause()
        threading.Timer(1.0, redis_server.resume).start()


@BOTH_SERVERS
async def test_redis_restarted_between_publish_and_move(registry, redis_server):
    await publish(registry.channel, MANIFEST, CONTENTS)
    await publish(registry.channel, version(2), CONTENTS)
    redis_server.kill()
    await until(lambda: registry.check(REGISTRY), lambda status: status == NOT_SERVING)
    error = await refusal(stub(registry.channel).GetAdapter(pb.GetAdapterRequest(name=NAME)))
    meanwhile = await registry.check(SCORING)
    redis_server.start()
    await until(lambda: registry.check(REGISTRY), lambda status: status == SERVING, 5)
    generation = (await get(registry)).aliases[0].generation
    assert error.code() == StatusCode.UNAVAILABLE
    assert details(error, error_details_pb2.RetryInfo)
    assert meanwhile == SERVING
    assert (await move(registry, 2, generation)).version == 2


async def test_sidecar_without_redis_serves_scoring_and_finds_redis_later(start_scorer, redis_server):
    redis_server.kill()
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=redis_server.url)
    async with Client(scorer.target) as registry:
        await registry.ready(SCORING)
        before = await registry.check(REGISTRY)
        error = await refusal(publish(registry.channel, MANIFEST, CONTENTS))
        redis_server.start()
        await registry.ready(REGISTRY)
        await publish(registry.channel, MANIFEST, CONTENTS)
    assert (before, error.code()) == (NOT_SERVING, StatusCode.UNAVAILABLE)


async def test_sidecar_without_a_registry_says_how_to_get_one(start_scorer):
    async with Client(start_scorer(ROOT / "scorer" / "scoring.yaml").target) as registry:
        await registry.ready(SCORING)
        error = await refusal(publish(registry.channel, MANIFEST, CONTENTS))
        assert await registry.check(REGISTRY) == NOT_SERVING
    assert error.code() == StatusCode.FAILED_PRECONDITION
    assert "SCORER_REDIS_URL: is empty" in error.details()


def test_wrong_url_ends_the_process_with_the_sentence(start_scorer):
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=f"http://127.0.0.1:{free_port()}")
    assert scorer.wait() == 2
    assert scorer.other_lines[0].startswith("SCORER_REDIS_URL: url: ")


@BOTH_SERVERS
async def test_watch_sends_the_state_then_changes_and_the_state_again_to_a_slow_reader(registry, redis_server):
    await publish(registry.channel, MANIFEST, CONTENTS)
    await publish(registry.channel, version(2), CONTENTS)
    watch = stub(registry.channel).WatchAdapters(pb.WatchAdaptersRequest(model_fingerprint=FINGERPRINT))
    first = await watch.read()
    alias = await move(registry, 2, (await get(registry)).aliases[0].generation)
    second = await watch.read()
    # as if so many events had come, and were trimmed, since this reader looked
    events = f"adapter:{{{MANIFEST.model}/{MANIFEST.adapter}}}:events"
    with redis_server.client() as admin:
        pipeline = admin.pipeline()
        aliases = f"adapter:{{{MANIFEST.model}/{MANIFEST.adapter}}}:aliases"
        pipeline.hset(aliases, ":revision", alias.generation + 5)
        pipeline.xadd(events, {"kind": "alias", "version": 2, "alias": "default"}, id=f"{alias.generation + 5}-0")
        pipeline.execute()
    third = await watch.read()
    assert [adapter.name for adapter in first.state.adapters] == [NAME]
    assert [(event.kind, event.version) for event in second.change.events] == [(pb.ADAPTER_EVENT_KIND_ALIAS, 2)]
    assert second.change.adapter.aliases[0] == alias
    assert third.WhichOneof("update") == "state"
    assert third.state.adapters[0].revision == alias.generation + 5


async def test_watch_sees_a_new_adapter_and_outlives_a_restart_of_redis(registry, redis_server):
    watch = stub(registry.channel).WatchAdapters(pb.WatchAdaptersRequest(model_fingerprint=FINGERPRINT))
    first = await watch.read()
    await publish(registry.channel, MANIFEST, CONTENTS)
    second = await watch.read()
    redis_server.kill()
    redis_server.start()
    await registry.ready(REGISTRY)
    alias = await move(registry, 1, (await get(registry)).aliases[0].generation)
    await until(lambda: adapters_in(watch), lambda adapters: any(alias in adapter.aliases for adapter in adapters), 5)
    assert not first.state.adapters
    assert [info.number for info in second.change.adapter.versions] == [1]


async def adapters_in(watch):
    """Those that the next message of a watch is about."""
    update = await watch.read()
    return [update.change.adapter] if update.HasField("change") else update.state.adapters


async def test_sigterm_ends_a_watch(start_scorer, redis_server):
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=redis_server.url)
    async with Client(scorer.target) as registry:
        await registry.ready(REGISTRY)
        watch = stub(registry.channel).WatchAdapters(pb.WatchAdaptersRequest(model_fingerprint=FINGERPRINT))
        await watch.read()
        scorer.terminate()
        assert await watch.read() is grpc.aio.EOF
        # one that was cut off would have ended with an error instead
    assert await asyncio.to_thread(scorer.wait, 30) == 0


@BOTH_SERVERS
async def test_full_store_is_told_and_waiting_is_not_advised(registry, redis_server):
    with redis_server.client() as admin:
        admin.config_set("maxmemory", "1mb")
    error = await refusal(publish(registry.channel, MANIFEST, CONTENTS))
    assert error.code() == StatusCode.RESOURCE_EXHAUSTED
    assert not details(error, error_details_pb2.RetryInfo)
    assert await nothing_is_visible(registry)


async def test_reader_may_list_but_not_publish(start_scorer, redis_server):
    rights = ("~adapter:*", "+@read", "+@connection", "-@dangerous")
    with redis_server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "reader", "on", ">secret", *rights)
    user = {"SCORER_REDIS_USERNAME": "reader", "SCORER_REDIS_PASSWORD": "secret"}
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=redis_server.url, **user)
    async with Client(scorer.target) as reader:
        await reader.ready(REGISTRY)
        error = await refusal(publish(reader.channel, MANIFEST, CONTENTS))
        assert await nothing_is_visible(reader)
    assert error.code() == StatusCode.PERMISSION_DENIED
    assert "secret" not in error.details()


@BOTH_SERVERS
async def test_chunk_that_was_damaged_in_the_store_is_data_loss(registry, redis_server):
    await publish(registry.channel, MANIFEST, CONTENTS)
    with redis_server.client() as admin:
        (key,) = [key for key in admin.scan_iter() if key.endswith(b":chunk:1")]
        admin.setrange(key, 5, b"damaged")
    call = stub(registry.channel).DownloadAdapter(pb.DownloadAdapterRequest(name=NAME))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in call:
            pass
    assert raised.value.code() == StatusCode.DATA_LOSS
    assert "chunk 1 of " in raised.value.details()


async def test_versions_that_no_alias_needs_are_collected(start_scorer, redis_server):
    often = {"SCORER_COLLECT_GRACE_SECONDS": 0.5, "SCORER_COLLECT_EVERY_SECONDS": 0.1}
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=redis_server.url, **often)
    async with Client(scorer.target) as client:
        await client.ready(REGISTRY)
        await publish(client.channel, MANIFEST, CONTENTS)
        await publish(client.channel, version(2), CONTENTS)
        adapter = await until(lambda: get(client), lambda adapter: len(adapter.versions) == 1)
    assert adapter.versions[0].number == 1


@pytest.mark.parametrize("name", ["", "models/{}/adapters/x", "models/a/adapters/B C", "models/../adapters/x"])
async def test_malformed_name_is_an_invalid_argument(registry, name):
    error = await refusal(stub(registry.channel).GetAdapter(pb.GetAdapterRequest(name=name)))
    assert (error.code(), error.details().startswith("name: ")) == (StatusCode.INVALID_ARGUMENT, True)
