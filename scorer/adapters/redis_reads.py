"""What is in Redis, read with no right to change it."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator

from scorer.adapters.errors import AdapterDamaged
from scorer.adapters.manifest import WEIGHTS_FILE, Manifest
from scorer.adapters.redis_keys import INDEX, AdapterKeys, index_of
from scorer.adapters.redis_records import REVISION, parse_alias, parse_events, parse_version
from scorer.adapters.store_errors import EventsLost, NotInStore
from scorer.adapters.store_values import (
    AdapterId,
    AdapterPage,
    Aliases,
    StoreEvent,
    Upload,
    VersionId,
    VersionInfo,
)
from services.shared.redis.commands import RedisCommands, text

EVENTS_AT_ONCE = 100


class RedisReads:
    """The part of the store that sidecars need."""

    def __init__(self, commands: RedisCommands) -> None:
        self._commands = commands

    async def open(self, version: VersionId) -> Upload:
        key = AdapterKeys(version.adapter).manifest(version.number)
        manifest, config, sums = await self._commands.call("HMGET", key, "manifest", "config", "sums")
        if manifest is None:
            raise NotInStore(f"{version}: is not in the store; list the versions that are")
        return Upload(Manifest.from_json(manifest), config, tuple(text(sums).split()))

    async def read(self, upload: Upload) -> AsyncIterator[bytes]:
        whole, count = hashlib.sha256(), len(upload.chunk_sums)
        # one ahead, so that Redis and the reader work at the same time
        ahead = asyncio.create_task(self._chunk(upload, 0)) if count else None
        try:
            for index in range(count):
                content = await ahead if ahead else b""
                ahead = asyncio.create_task(self._chunk(upload, index + 1)) if index + 1 < count else None
                await asyncio.to_thread(whole.update, content)
                yield content
        finally:
            if ahead:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)
        if whole.hexdigest() != upload.manifest.files.weights.sha256:
            raise AdapterDamaged(f"{upload.version}: {WEIGHTS_FILE}: its sha256 is not the manifest's")

    async def adapters(self, fingerprint: str | None = None, after: str = "", limit: int = 100) -> AdapterPage:
        key = index_of(fingerprint) if fingerprint else INDEX
        start = f"({after}" if after else "-"
        members = await self._commands.call("ZRANGE", key, start, "+", "BYLEX", "LIMIT", 0, limit)
        names = [text(member) for member in members]
        found = [AdapterId.parse(name) for name in names]
        here = [adapter for adapter in found if await self._has_versions(adapter, fingerprint)]
        return AdapterPage(tuple(here), names[-1] if len(names) == limit else "")

    async def versions(self, adapter: AdapterId) -> tuple[VersionInfo, ...]:
        keys = AdapterKeys(adapter)
        records = await self._commands.call("HGETALL", keys.versions)
        idle = await self._commands.call("HGETALL", keys.idle)
        return tuple(
            parse_version(number, record, idle.get(str(number).encode())) for number, record in _sorted(records)
        )

    async def aliases(self, adapter: AdapterId) -> Aliases:
        records = await self._commands.call("HGETALL", AdapterKeys(adapter).aliases)
        named = {text(name): record for name, record in sorted(records.items())}
        revision = int(named.pop(REVISION, 0))
        return Aliases({name: parse_alias(name, record) for name, record in named.items()}, revision)

    async def events(self, adapter: AdapterId, after: int, timeout_seconds: float) -> tuple[StoreEvent, ...]:
        deadline = time.monotonic() + timeout_seconds
        while True:
            events = await self._read_events(adapter, after, deadline - time.monotonic())
            await self._check_gap(adapter, after, events)
            if events or time.monotonic() >= deadline:
                return tuple(events)

    async def _read_events(self, adapter: AdapterId, after: int, seconds: float) -> list[StoreEvent]:
        key = AdapterKeys(adapter).events
        block_ms = int(1000 * min(seconds, self._commands.block_seconds))
        # BLOCK 0 would wait for ever
        block = ("BLOCK", block_ms) if block_ms > 0 else ()
        answer = await self._commands.call("XREAD", "COUNT", EVENTS_AT_ONCE, *block, "STREAMS", key, f"{after}-0")
        return parse_events(answer)

    async def _check_gap(self, adapter: AdapterId, after: int, events: list[StoreEvent]) -> None:
        if events and events[0].number == after + 1:
            return
        last = (await self.aliases(adapter)).revision if not events else events[0].number
        # an older state than the reader's: the store went back to a copy
        if events or last < after:
            raise EventsLost(
                f"{adapter}: the events behind number {after} are gone, the next is {last}; "
                "read the aliases again and go on from their revision"
            )

    async def _chunk(self, upload: Upload, index: int) -> bytes:
        key = AdapterKeys(upload.version.adapter).chunk(upload, index)
        content: bytes | None = await self._commands.call("GET", key)
        if content is None:
            # raises when it was deleted meanwhile
            await self.open(upload.version)
            raise AdapterDamaged(f"chunk {index} of {upload.version}: is not in the store; publish the adapter anew")
        await asyncio.to_thread(upload.check_chunk, index, content)
        return content

    async def _has_versions(self, adapter: AdapterId, fingerprint: str | None) -> bool:
        versions = await self.versions(adapter)
        return any(fingerprint in (None, version.model_fingerprint) for version in versions)


def _sorted(records: dict[bytes, bytes]) -> list[tuple[int, bytes]]:
    return sorted((int(number), record) for number, record in records.items())
