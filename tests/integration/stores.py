"""Stores on real servers, and what is left in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis

from scorer.adapters.redis_keys import AdapterKeys
from scorer.adapters.redis_leaks import leaked_keys
from scorer.adapters.redis_store import RedisAdapterStore, open_redis_store
from scorer.adapters.store_values import AdapterId, StoreLimits, VersionId
from services.shared.redis.options import RedisOptions
from tests.redis_servers import RedisServer


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


async def all_leaked_keys(server: RedisServer) -> list[str]:
    """Keys that belong to no version of any adapter and would stay for ever."""
    async with store_at(server.url) as store:
        with server.client() as client:
            return await leaked_keys(client, store, (await store.adapters()).adapters)
