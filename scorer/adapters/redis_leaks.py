"""Keys that nobody owns: what tests and soaks count, to see that publishing and deleting leave nothing behind."""

from collections.abc import Iterable

from redis import Redis

from scorer.adapters.redis_keys import INDEX, AdapterKeys
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_values import AdapterId, VersionId


async def leaked_keys(client: Redis, store: AdapterStore, adapters: Iterable[AdapterId]) -> list[str]:
    """Keys that belong to no version of these adapters and would stay for ever."""
    owned: set[str] = set()
    for adapter in adapters:
        keys = AdapterKeys(adapter)
        owned.update((keys.versions, keys.used, keys.idle, keys.aliases, keys.events))
        for version in await store.versions(adapter):
            upload = await store.open(VersionId(adapter, version.number))
            owned.update((keys.manifest(version.number), *keys.chunks(upload)))
    found = [key.decode() for key in client.scan_iter(count=1000)]
    return [key for key in found if key not in owned and not key.startswith(INDEX) and client.ttl(key) < 0]
