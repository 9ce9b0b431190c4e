"""The cache fetches what is published, checks it, and keeps to its bytes without removing what is in use."""

from pathlib import Path

import pytest

from scorer.adapters.cache import AdapterCache, CacheFull
from scorer.adapters.config import CONFIG_FILE
from scorer.adapters.errors import AdapterError
from scorer.adapters.folder import read_folder
from scorer.adapters.manifest import MANIFEST_FILE, WEIGHTS_FILE, Files, Manifest
from scorer.adapters.publishing import publish
from scorer.adapters.shipped import FOLDER
from scorer.adapters.store_values import CHUNK_BYTES, AdapterId, Upload, VersionId, split
from tests.fakes import MemoryAdapterStore

SHIPPED = FOLDER / "SmolLM2-135M-Instruct"
MANIFEST = Manifest.from_json((SHIPPED / MANIFEST_FILE).read_bytes())
CONTENTS = {name: (SHIPPED / name).read_bytes() for name in (CONFIG_FILE, WEIGHTS_FILE)}
ADAPTER = AdapterId(MANIFEST.model, MANIFEST.adapter)
ROOM = sum(map(len, CONTENTS.values())) + 10_000


def version(number: int) -> VersionId:
    return VersionId(ADAPTER, number)


@pytest.fixture
async def store():
    """Three versions, all with the same weights."""
    filled = MemoryAdapterStore()
    for number in (1, 2, 3):
        await publish(filled, MANIFEST.model_copy(update={"version": number}), CONTENTS)
    return filled


def names(root: Path) -> list[str]:
    return sorted(folder.name.split("+")[-2] for folder in root.iterdir())


async def test_fetched_folder_is_a_checked_adapter_and_is_fetched_once(store, tmp_path):
    cache = AdapterCache(tmp_path, ROOM)
    first = await cache.get(store, version(2))
    written = (first.folder / WEIGHTS_FILE).stat().st_ino
    again = await cache.get(store, version(2))
    bundle = read_folder(first.folder, MANIFEST.model_config_fields)
    assert (bundle.manifest.version, bundle.tensors == CONTENTS[WEIGHTS_FILE]) == (2, True)
    assert (first.sha256, first.lookahead_tokens) == (MANIFEST.files.weights.sha256, bundle.config.lookahead_tokens)
    assert (again, (again.folder / WEIGHTS_FILE).stat().st_ino) == (first, written)


async def test_least_recently_used_go_first_and_those_in_use_stay(store, tmp_path):
    cache = AdapterCache(tmp_path, 2 * ROOM)
    first = await cache.get(store, version(1))
    await cache.get(store, version(2))
    cache.pin("model", [first])
    await cache.get(store, version(3))
    assert names(tmp_path) == ["1", "3"]


async def test_version_without_room_is_refused_with_the_way_out_and_nothing_in_use_goes(store, tmp_path):
    cache = AdapterCache(tmp_path, ROOM)
    cache.pin("model", [await cache.get(store, version(1))])
    with pytest.raises(CacheFull, match="raise SCORER_ADAPTER_CACHE_BYTES"):
        await cache.get(store, version(2))
    assert names(tmp_path) == ["1"]


async def test_folder_of_an_earlier_process_is_checked_and_replaced_when_it_is_damaged(store, tmp_path):
    before = await AdapterCache(tmp_path, ROOM).get(store, version(1))
    weights = before.folder / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    after = await AdapterCache(tmp_path, ROOM).get(store, version(1))
    assert after.folder == before.folder
    assert weights.read_bytes() == CONTENTS[WEIGHTS_FILE]


async def test_numbers_that_are_not_finite_leave_no_folder(tmp_path):
    store, weights = MemoryAdapterStore(), CONTENTS[WEIGHTS_FILE][:-2] + b"\xc0\x7f"
    files = Files.of(CONTENTS | {WEIGHTS_FILE: weights})
    upload = Upload.of(MANIFEST.model_copy(update={"files": files, "version": 1}), CONTENTS[CONFIG_FILE], weights)
    for index, chunk in enumerate(split(weights)):
        assert len(chunk) <= CHUNK_BYTES
        await store.put_chunk(upload, index, chunk)
    await store.commit(upload)
    with pytest.raises(AdapterError, match="not finite"):
        await AdapterCache(tmp_path, ROOM).get(store, version(1))
    assert not list(tmp_path.iterdir())
