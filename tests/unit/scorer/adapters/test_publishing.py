"""What is published was checked whole, in pieces of any size, and goes on where it broke off."""

import pickle
import struct

import pytest
import torch

from scorer.adapters.config import CONFIG_FILE
from scorer.adapters.errors import AdapterDamaged, AdapterInvalid, AdapterMismatch
from scorer.adapters.finite import BLOCK_BYTES, FiniteCheck
from scorer.adapters.manifest import WEIGHTS_FILE
from scorer.adapters.publishing import (
    AliasMove,
    ChunkCutter,
    check_fingerprint,
    describe_upload,
    finish,
    missing_chunks,
    publish,
)
from scorer.adapters.shapes import FUSION
from scorer.adapters.store_errors import AliasMoved, NotInStore, UploadIncomplete
from scorer.adapters.store_values import Upload, VersionId, split
from tests.adapter_uploads import make_upload, make_weights, read_all
from tests.fakes import MemoryAdapterStore
from tests.unit.scorer.adapters.conftest import describe

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def refill(published, weights: bytes):
    contents = published.contents | {WEIGHTS_FILE: weights}
    return describe(contents), contents


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), None])
@pytest.mark.parametrize("piece_bytes", [1 << 30, 4093])
def test_finite_check_finds_the_first_number_that_is_not(dtype, value, piece_bytes):
    largest = torch.finfo(DTYPES[dtype]).max
    numbers = torch.tensor([0.0, -1.0, largest, -largest, 1e-7]).repeat(BLOCK_BYTES // 9).to(DTYPES[dtype])
    at = numbers.numel() - 4
    if value is not None:
        numbers[at:] = value
    content = numbers.view(torch.uint8).numpy().tobytes()
    check = FiniteCheck(dtype)
    found = [check.feed(content[start : start + piece_bytes]) for start in range(0, len(content), piece_bytes)]
    first = next((item for item in found if item is not None), None)
    assert first == (None if value is None else at * numbers.element_size())


async def test_published_version_is_the_file_and_default_points_at_it(published):
    store, progress = MemoryAdapterStore(), []
    info, _ = await publish(
        store, published.manifest, published.contents, on_progress=lambda *now: progress.append(now)
    )
    (adapter,) = (await store.adapters()).adapters
    upload = await store.open(VersionId(adapter, info.number))
    assert await read_all(store, upload) == published.contents[WEIGHTS_FILE]
    assert (await store.aliases(adapter)).by_name["default"].version == 1
    assert progress[-1][0] == progress[-1][1]


async def test_first_version_may_be_published_as_the_default_that_it_becomes_anyway(published):
    store = MemoryAdapterStore()
    info, alias = await publish(store, published.manifest, published.contents, AliasMove("default", 0))
    assert alias and (alias.name, alias.version) == ("default", info.number)


async def test_alias_moves_only_from_the_generation_that_was_seen(published):
    store = MemoryAdapterStore()
    _, alias = await publish(store, published.manifest, published.contents, AliasMove("canary", 0))
    assert alias and (alias.name, alias.version) == ("canary", 1)
    with pytest.raises(AliasMoved):
        await publish(store, published.manifest, published.contents, AliasMove("canary", 0))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_number_that_is_not_finite_is_refused_by_name_and_leaves_nothing(published, value):
    store = MemoryAdapterStore()
    published.weights.fusion.view(-1)[3] = value
    manifest, contents = refill(published, published.weights.to_files()[WEIGHTS_FILE])
    with pytest.raises(AdapterInvalid, match=f"{FUSION}: has a number that is not finite"):
        await publish(store, manifest, contents)
    await assert_nothing_is_left(store, manifest, contents)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (pickle.dumps({"a": 1}), "not a safetensors file"),
        (struct.pack("<Q", 10 << 30) + b"{}", "its header would have 10737418240 bytes"),
        (b"", "its header would have 0 bytes"),
        (b"\x02", "not a safetensors file"),
    ],
)
async def test_what_is_no_safetensors_file_is_refused_and_leaves_nothing(published, weights, sentence):
    store = MemoryAdapterStore()
    manifest, contents = refill(published, weights)
    with pytest.raises(AdapterInvalid, match=sentence):
        await publish(store, manifest, contents)
    await assert_nothing_is_left(store, manifest, contents)


async def assert_nothing_is_left(store, manifest, contents):
    upload = Upload.of(manifest, contents[CONFIG_FILE], contents[WEIGHTS_FILE])
    assert not await store.begin(upload)
    with pytest.raises(NotInStore):
        await store.open(upload.version)


async def test_other_model_is_refused(published):
    upload = Upload.of(published.manifest, published.contents[CONFIG_FILE], published.contents[WEIGHTS_FILE])
    check_fingerprint(upload, published.manifest.model_fingerprint)
    with pytest.raises(AdapterMismatch, match="model_fingerprint"):
        check_fingerprint(upload, "0" * 32)


def test_description_is_checked_before_any_weight_is_sent(published):
    manifest, config = published.manifest.to_json(), published.contents[CONFIG_FILE]
    with pytest.raises(AdapterDamaged, match="chunk_sums"):
        describe_upload(manifest, config, ())
    with pytest.raises(AdapterInvalid, match=r"manifest\.json"):
        describe_upload(b"{}", config, ())


async def test_pieces_of_any_size_become_chunks_and_a_second_call_goes_on():
    store, weights = MemoryAdapterStore(), make_weights()
    upload, chunks = make_upload(weights), split(weights)
    first = ChunkCutter(store, upload)
    for offset in range(0, len(chunks[0]) + 1000, 70_001):
        await first.add(offset, weights[offset : offset + 70_001])
    missing = await missing_chunks(store, upload)
    second, start = ChunkCutter(store, upload), len(chunks[0])
    await second.add(start, weights[start:])
    assert missing == (1, 2)
    assert await missing_chunks(store, upload) == ()
    assert await read_all(store, upload) == weights


@pytest.mark.parametrize("offset", [-1, 5, 8 << 20])
async def test_piece_at_a_wrong_place_is_refused(offset):
    weights = make_weights(1000)
    cutter = ChunkCutter(MemoryAdapterStore(), make_upload(weights))
    with pytest.raises(AdapterDamaged):
        await cutter.add(offset, weights)


async def test_what_was_not_sent_is_named():
    weights = make_weights()
    with pytest.raises(UploadIncomplete) as raised:
        await finish(MemoryAdapterStore(), make_upload(weights))
    assert raised.value.missing == (0, 1, 2)
