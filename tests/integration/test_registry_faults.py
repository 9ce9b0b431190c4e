"""What publishers and operators do wrong: the adapter registry says so clearly, and nothing is half visible."""

import asyncio
import pickle
import struct

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc import StatusCode

from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters.manifest import WEIGHTS_FILE, Files, model_identity
from scorer.adapters.store_values import CHUNK_BYTES, chunk_count
from tests.integration.clients import NOT_SERVING, Client, until
from tests.integration.registry_client import (
    CONTENTS,
    FINGERPRINT,
    MANIFEST,
    NAME,
    REGISTRY,
    describe,
    details,
    get,
    nothing_is_visible,
    parts,
    publish,
    refusal,
    stub,
    version,
)
from tests.integration.test_scorer import SCORING
from tests.processes import ROOT

WEIGHTS = CONTENTS[WEIGHTS_FILE]
CHUNKS = list(range(chunk_count(len(WEIGHTS))))


def with_weights(weights: bytes, **changes):
    """A manifest that tells the truth about these weights."""
    contents = CONTENTS | {WEIGHTS_FILE: weights}
    return version(1, files=Files.of(contents), **changes), contents


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
async def test_file_that_is_no_adapter_is_refused_and_leaves_nothing(registry, weights, sentence):
    error = await refusal(publish(registry.channel, *with_weights(weights)))
    assert (error.code(), sentence in error.details()) == (StatusCode.INVALID_ARGUMENT, True)
    assert await nothing_is_visible(registry)


async def test_truncated_upload_is_refused_and_tells_what_is_missing(registry):
    call = stub(registry.channel).PublishAdapter(parts(describe(MANIFEST, CONTENTS), WEIGHTS[:-1]))
    error = await refusal(call)
    assert error.code() == StatusCode.FAILED_PRECONDITION
    assert details(error, error_details_pb2.ErrorInfo).metadata["missing_chunks"] == str(CHUNKS[-1])
    assert await nothing_is_visible(registry)


@pytest.mark.parametrize("at", [100, CHUNK_BYTES])
async def test_wrong_sum_is_refused(registry, at):
    damaged = WEIGHTS[:at] + bytes([WEIGHTS[at] ^ 1]) + WEIGHTS[at + 1 :]
    error = await refusal(stub(registry.channel).PublishAdapter(parts(describe(MANIFEST, CONTENTS), damaged)))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert "its sha256 is not the published one" in error.details()
    assert await nothing_is_visible(registry)


async def test_wrong_model_is_refused(registry):
    error = await refusal(publish(registry.channel, MANIFEST, CONTENTS, model_fingerprint="0" * 32))
    fields = MANIFEST.model_config_fields | {"hidden_size": 1152}
    misfit = await refusal(publish(registry.channel, version(1, **model_identity(fields)), CONTENTS))
    assert error.code() == StatusCode.FAILED_PRECONDITION
    assert details(error, error_details_pb2.ErrorInfo).reason == "ADAPTER_MISMATCH"
    assert misfit.code() == StatusCode.INVALID_ARGUMENT and "has shape" in misfit.details()
    assert await nothing_is_visible(registry)


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


async def test_sidecar_without_redis_serves_scoring_and_finds_redis_later(start_scorer, server):
    server.kill()
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=server.url)
    async with Client(scorer.target) as registry:
        await registry.ready(SCORING)
        before = await registry.check(REGISTRY)
        error = await refusal(publish(registry.channel, MANIFEST, CONTENTS))
        server.start()
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


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "redis://127.0.0.1:port"])
def test_wrong_url_ends_the_process_with_the_sentence(start_scorer, url):
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=url)
    assert scorer.wait() == 2
    assert scorer.other_lines[0].startswith("SCORER_REDIS_URL: url: ")


async def test_sigterm_ends_a_watch(start_scorer, server):
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=server.url)
    async with Client(scorer.target) as registry:
        await registry.ready(REGISTRY)
        watch = stub(registry.channel).WatchAdapters(pb.WatchAdaptersRequest(model_fingerprint=FINGERPRINT))
        await watch.read()
        scorer.terminate()
        assert await watch.read() is grpc.aio.EOF
        # one that was cut off would have ended with an error instead
    assert await asyncio.to_thread(scorer.wait, 30) == 0


async def test_reader_may_list_but_not_publish(start_scorer, server):
    rights = ("~adapter:*", "+@read", "+@connection", "-@dangerous")
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "reader", "on", ">secret", *rights)
    user = {"SCORER_REDIS_USERNAME": "reader", "SCORER_REDIS_PASSWORD": "secret"}
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=server.url, **user)
    async with Client(scorer.target) as reader:
        await reader.ready(REGISTRY)
        error = await refusal(publish(reader.channel, MANIFEST, CONTENTS))
        assert await nothing_is_visible(reader)
    assert error.code() == StatusCode.PERMISSION_DENIED
    assert "secret" not in error.details()


async def test_chunk_that_was_damaged_in_the_store_is_data_loss(registry, server):
    await publish(registry.channel, MANIFEST, CONTENTS)
    with server.client() as admin:
        (key,) = [key for key in admin.scan_iter() if key.endswith(b":chunk:1")]
        admin.setrange(key, 5, b"damaged")
    call = stub(registry.channel).DownloadAdapter(pb.DownloadAdapterRequest(name=NAME))
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async for _ in call:
            pass
    assert raised.value.code() == StatusCode.DATA_LOSS
    assert "chunk 1 of " in raised.value.details()


async def test_versions_that_no_alias_needs_are_collected(start_scorer, server):
    often = {"SCORER_COLLECT_GRACE_SECONDS": 0.5, "SCORER_COLLECT_EVERY_SECONDS": 0.1}
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=server.url, **often)
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
