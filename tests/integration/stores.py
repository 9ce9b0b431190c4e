"""Stores on real servers, and what is left in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis

from scorer.adapters.redis_keys import INDEX, AdapterKeys
from scorer.adapters.redis_store import RedisAdapterStore, open_redis_store
from scorer.adapters.store_values import AdapterId, StoreLimits, VersionId
from services.shared.redis.options import RedisOptions


@asynccontextmanager
async def store_at(url: str, options: dict[str, Any] | None = None, **limits: int) -> AsyncIterator[RedisAdapterStore]:
    """store_at(url, {"username": ...}, max_events=...)"""
    async with open_redis_store(RedisOptions(url, **(options or {})), StoreLimits(**limits)) as store:
        yield store


async def mortal_keys(client: redis.Redis, store: RedisAdapterStore, adapters: list[AdapterId]) -> list[str]:
    """Chunks of versions that would expire."""
    live = [VersionId(adapter, info.number) for adapter in adapters for info in await store.versions(adapter)]
    uploads = [await store.open(version) for version in live]
    chunks = [key for upload in uploads for key in AdapterKeys(upload.version.adapter).chunks(upload)]
    return [key for key in chunks if client.ttl(key) != -1]


async def leaked_keys(client: redis.Redis, store: RedisAdapterStore, adapters: list[AdapterId]) -> list[str]:
    """Keys that belong to no version and would stay for ever."""
    owned: set[str] = set()
    for adapter in adapters:
        keys = AdapterKeys(adapter)
        owned.update((keys.versions, keys.used, keys.idle, keys.aliases, keys.events))
        for version in await store.versions(adapter):
            upload = await store.open(VersionId(adapter, version.number))
            owned.update((keys.manifest(version.number), *keys.chunks(upload)))
    found = [key.decode() for key in client.scan_iter(count=1000)]
    return [key for key in found if key not in owned and not key.startswith(INDEX) and client.ttl(key) < 0]
