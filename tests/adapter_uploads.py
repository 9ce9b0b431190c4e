"""Adapters for tests of the store, which looks at their sums but not into their weights."""

import random
from typing import Any

from scorer.adapters.config import CONFIG_FILE, AdapterConfig
from scorer.adapters.manifest import WEIGHTS_FILE, Files, Manifest, model_identity
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_values import CHUNK_BYTES, AdapterId, Upload, VersionInfo, split

ADAPTER = AdapterId("us/tiny", "news")
# two whole chunks and a small one
WEIGHTS_BYTES = 2 * CHUNK_BYTES + 10
MODEL_CONFIG = {"model_type": "llama", "hidden_size": 16}


def make_weights(size_bytes: int = WEIGHTS_BYTES, seed: int = 0) -> bytes:
    """Random bytes."""
    return random.Random(seed).randbytes(size_bytes)


def make_upload(weights: bytes, number: int = 1, adapter: AdapterId = ADAPTER, **changes: Any) -> Upload:
    """Everything about these weights but themselves."""
    config = AdapterConfig().to_json()
    fields = {"adapter": adapter.name, "model": adapter.model, "version": number, "dtype": "float32"}
    files = Files.of({CONFIG_FILE: config, WEIGHTS_FILE: weights})
    manifest = Manifest(**{**fields, **model_identity(MODEL_CONFIG), "files": files, **changes})
    return Upload.of(manifest, config, weights)


async def publish(store: AdapterStore, upload: Upload, weights: bytes) -> VersionInfo:
    """All chunks that are not there, then the version."""
    there = await store.begin(upload)
    for index, chunk in enumerate(split(weights)):
        if index not in there:
            await store.put_chunk(upload, index, chunk)
    return await store.commit(upload)


async def publish_small(store: AdapterStore, *numbers: int, adapter: AdapterId = ADAPTER) -> None:
    """Versions of a few bytes, each with others."""
    for number in numbers:
        weights = make_weights(100, seed=number)
        await publish(store, make_upload(weights, number, adapter), weights)


async def read_all(store: AdapterStore, upload: Upload) -> bytes:
    """The weights."""
    return b"".join([chunk async for chunk in store.read(upload)])
