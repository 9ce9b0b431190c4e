"""Adapters in Redis 7 or Valkey: one server, Sentinel or Cluster."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scorer.adapters.redis_keys import AdapterKeys
from scorer.adapters.redis_reads import RedisReads
from scorer.adapters.redis_records import parse_alias
from scorer.adapters.redis_uploads import RedisUploads
from scorer.adapters.store_errors import AliasMoved, NotInStore, VersionInUse
from scorer.adapters.store_values import (
    DEFAULT_ALIAS,
    AdapterId,
    Alias,
    StoreLimits,
    Upload,
    VersionId,
    check_alias_name,
    check_share,
    shares_exceeded,
)
from services.shared.redis.commands import RedisCommands
from services.shared.redis.connection import connect
from services.shared.redis.options import RedisOptions

# whose scripts these are
PACKAGE = "scorer.adapters"


class RedisAdapterStore(RedisReads, RedisUploads):
    """The `AdapterStore` in Redis. Every change is one script, so it is seen whole or not at all."""

    def __init__(self, commands: RedisCommands, limits: StoreLimits) -> None:
        RedisReads.__init__(self, commands)
        RedisUploads.__init__(self, commands, limits)

    async def set_alias(
        self, adapter: AdapterId, name: str, version: int, generation: int, share: float | None = None
    ) -> Alias:
        check_alias_name(name)
        check_share(name, share)
        # a call whose answer was lost is sent again, and must know its own work
        token = uuid.uuid4().hex
        given = "" if share is None else repr(float(share))
        status, *rest = await self._script("set_alias", adapter, (), name, version, generation, token, given)
        if status == "missing":
            raise NotInStore(f"{VersionId(adapter, version)}: is not in the store; {name!r} stays where it is")
        if status == "moved":
            raise _moved(adapter, name, generation, rest[0])
        if status == "shares":
            raise shares_exceeded(share or 0.0, float(rest[0]))
        return parse_alias(name, rest[0])

    async def remove_alias(self, adapter: AdapterId, name: str, generation: int) -> None:
        check_alias_name(name)
        if name == DEFAULT_ALIAS:
            raise ValueError(f"alias: {name!r} always exists; move it instead")
        status, *rest = await self._script("remove_alias", adapter, (), name, generation)
        if status == "missing":
            raise NotInStore(f"{adapter}: has no alias {name!r}")
        if status == "moved":
            raise _moved(adapter, name, generation, rest[0])

    async def delete_version(self, version: VersionId) -> None:
        status, *aliases = await self._delete(await self.open(version), idle_ms=-1)
        if status == "missing":
            raise NotInStore(f"{version}: is not in the store; somebody else deleted it")
        if status == "in_use":
            raise VersionInUse(f"{version}: {', '.join(sorted(aliases))} points at it; move the alias first")

    async def collect(self, adapter: AdapterId, grace_seconds: float) -> tuple[int, ...]:
        idle = [info.number for info in await self.versions(adapter) if info.idle_since_ms is not None]
        return tuple([number for number in idle if await self._collect(VersionId(adapter, number), grace_seconds)])

    async def _collect(self, version: VersionId, grace_seconds: float) -> bool:
        try:
            upload = await self.open(version)
        except NotInStore:
            # somebody else collects, too
            return False
        status, *_ = await self._delete(upload, idle_ms=int(grace_seconds * 1000))
        return status == "done"

    async def _delete(self, upload: Upload, idle_ms: int) -> list[str]:
        keys, number = AdapterKeys(upload.version.adapter), upload.version.number
        more = (keys.manifest(number), *keys.chunks(upload))
        return await self._script(
            "delete_version", upload.version.adapter, more, number, self._limits.drain_seconds, idle_ms
        )

    async def _script(self, name: str, adapter: AdapterId, more_keys: tuple[str, ...], *args: str | int) -> list[str]:
        keys = (*AdapterKeys(adapter).shared, *more_keys)
        return await self._commands.script(name, keys, self._limits.max_events, *args)


@asynccontextmanager
async def open_redis_store(
    options: RedisOptions, limits: StoreLimits | None = None
) -> AsyncIterator[RedisAdapterStore]:
    """The store at `options.url`. Raises StoreUnavailable, StoreMisconfigured, and ValueError for a wrong URL."""
    async with connect(options, PACKAGE) as commands:
        yield RedisAdapterStore(commands, limits or StoreLimits())


def _moved(adapter: AdapterId, name: str, generation: int, record: str) -> AliasMoved:
    now = parse_alias(name, record) if record else None
    found = f"is at generation {now.generation}, version {now.version}" if now else "does not exist"
    return AliasMoved(f"{adapter}: alias {name!r} {found}, not at generation {generation}; read it and decide again")
