"""Hand-written stand-ins that keep the promises of the real thing."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from router.tenants.store import (
    AuditEntry,
    Change,
    NoPolicy,
    Observation,
    PolicyExists,
    Snapshot,
    StaleEtag,
    StateMoved,
    StoredPolicy,
)
from scorer.adapters.errors import AdapterDamaged
from scorer.adapters.manifest import FileDigest
from scorer.adapters.store_errors import (
    AliasMoved,
    EventsLost,
    NotInStore,
    UploadIncomplete,
    VersionExists,
    VersionInUse,
)
from scorer.adapters.store_values import (
    DEFAULT_ALIAS,
    AdapterId,
    AdapterPage,
    Alias,
    Aliases,
    StoreEvent,
    Upload,
    VersionId,
    VersionInfo,
    check_alias_name,
    check_share,
    shares_exceeded,
)


class MemoryAdapterStore:
    """An `AdapterStore` in dictionaries. Its uploads never expire, all events are kept, and nothing waits."""

    def __init__(self) -> None:
        self._chunks: dict[tuple[VersionId, str], dict[int, bytes]] = {}
        self._uploads: dict[VersionId, Upload] = {}
        self._versions: dict[VersionId, VersionInfo] = {}
        self._used: set[VersionId] = set()
        self._aliases: dict[AdapterId, dict[str, Alias]] = {}
        self._events: dict[AdapterId, list[StoreEvent]] = {}

    async def next_version(self, adapter: AdapterId) -> int:
        return max((used.number for used in self._used if used.adapter == adapter), default=0) + 1

    async def begin(self, upload: Upload) -> frozenset[int]:
        self._check_number(upload)
        return frozenset(self._of(upload))

    async def put_chunk(self, upload: Upload, index: int, content: bytes) -> None:
        upload.check_chunk(index, content)
        self._of(upload).setdefault(index, content)

    async def commit(self, upload: Upload) -> VersionInfo:
        self._check_number(upload)
        missing = tuple(index for index in range(len(upload.chunk_sums)) if index not in self._of(upload))
        if missing:
            raise UploadIncomplete(f"{upload.version}: chunks are missing", missing)
        if FileDigest.of(b"".join(await self._all(upload))) != upload.manifest.files.weights:
            await self.abort(upload)
            raise AdapterDamaged(f"{upload.version}: is not the published file")
        if upload.version in self._versions:
            return replace(self._versions[upload.version], idle_since_ms=None)
        return self._publish(upload)

    async def abort(self, upload: Upload) -> None:
        if upload.version not in self._versions:
            self._chunks.pop((upload.version, upload.tag), None)

    async def open(self, version: VersionId) -> Upload:
        if version not in self._versions:
            raise NotInStore(f"{version}: is not here")
        return self._uploads[version]

    async def read(self, upload: Upload) -> AsyncIterator[bytes]:
        for index in range(len(upload.chunk_sums)):
            if index not in self._of(upload):
                await self.open(upload.version)
            yield self._of(upload)[index]

    async def adapters(self, fingerprint: str | None = None, after: str = "", limit: int = 100) -> AdapterPage:
        found = {
            str(version.adapter): version.adapter
            for version, info in self._versions.items()
            if fingerprint in (None, info.model_fingerprint)
        }
        names = sorted(name for name in found if name > after)[:limit]
        return AdapterPage(tuple(found[name] for name in names), names[-1] if len(names) == limit else "")

    async def versions(self, adapter: AdapterId) -> tuple[VersionInfo, ...]:
        return tuple(info for version, info in sorted(self._versions.items()) if version.adapter == adapter)

    async def aliases(self, adapter: AdapterId) -> Aliases:
        return Aliases(dict(sorted(self._aliases.get(adapter, {}).items())), len(self._events.get(adapter, [])))

    async def set_alias(
        self, adapter: AdapterId, name: str, version: int, generation: int, share: float | None = None
    ) -> Alias:
        check_alias_name(name)
        check_share(name, share)
        current = self._at_generation(adapter, name, generation)
        await self.open(VersionId(adapter, version))
        wanted = replace(current, share=current.share if share is None else share)
        others = sum(alias.share for alias in self._aliases[adapter].values() if alias.name != name)
        if others + wanted.share > 1 + 1e-9:
            raise shares_exceeded(wanted.share, others)
        return self._point(adapter, name, version, wanted)

    async def remove_alias(self, adapter: AdapterId, name: str, generation: int) -> None:
        if name == DEFAULT_ALIAS:
            raise ValueError("default always exists")
        if name not in self._aliases.get(adapter, {}):
            raise NotInStore(f"{name}: is not here")
        current = self._at_generation(adapter, name, generation)
        del self._aliases[adapter][name]
        self._emit(adapter, "alias_removed", current.version, name)
        self._mark_idle(adapter)

    async def delete_version(self, version: VersionId) -> None:
        await self.open(version)
        aliases = self._aliases[version.adapter]
        if any(alias.version == version.number for alias in aliases.values()):
            raise VersionInUse(f"{version}: is in use")
        del self._versions[version]
        self._chunks.pop((version, self._uploads.pop(version).tag), None)
        for alias in list(aliases.values()):
            if alias.previous == version.number:
                aliases[alias.name] = replace(alias, previous=None)
        self._emit(version.adapter, "deleted", version.number)

    async def collect(self, adapter: AdapterId, grace_seconds: float) -> tuple[int, ...]:
        before = _now_ms() - grace_seconds * 1000
        idle = [
            info.number
            for info in await self.versions(adapter)
            if info.idle_since_ms is not None and info.idle_since_ms <= before
        ]
        for number in idle:
            await self.delete_version(VersionId(adapter, number))
        return tuple(idle)

    async def events(self, adapter: AdapterId, after: int, timeout_seconds: float) -> tuple[StoreEvent, ...]:
        events = self._events.get(adapter, [])
        if after > len(events):
            raise EventsLost(f"{adapter}: has {len(events)} events")
        return tuple(events[after:])

    def _check_number(self, upload: Upload) -> None:
        if upload.version in self._used and self._uploads.get(upload.version) != upload:
            raise VersionExists(f"{upload.version}: exists")

    def _of(self, upload: Upload) -> dict[int, bytes]:
        return self._chunks.setdefault((upload.version, upload.tag), {})

    async def _all(self, upload: Upload) -> list[bytes]:
        return [self._of(upload)[index] for index in range(len(upload.chunk_sums))]

    def _publish(self, upload: Upload) -> VersionInfo:
        adapter, manifest = upload.version.adapter, upload.manifest
        self._used.add(upload.version)
        self._uploads[upload.version] = upload
        info = VersionInfo(
            manifest.version, manifest.model_fingerprint, manifest.files.weights.size_bytes, created_ms=_now_ms()
        )
        self._versions[upload.version] = info
        self._emit(adapter, "published", manifest.version)
        if DEFAULT_ALIAS not in self._aliases.setdefault(adapter, {}):
            self._point(adapter, DEFAULT_ALIAS, manifest.version, Alias(DEFAULT_ALIAS, 0, 0))
        self._mark_idle(adapter)
        return info

    def _at_generation(self, adapter: AdapterId, name: str, generation: int) -> Alias:
        current = self._aliases.get(adapter, {}).get(name, Alias(name, 0, 0))
        if current.generation != generation:
            raise AliasMoved(f"{name}: is at {current.generation}")
        return current

    def _point(self, adapter: AdapterId, name: str, version: int, current: Alias) -> Alias:
        previous = current.previous if current.version == version else current.version or None
        alias = Alias(name, version, self._emit(adapter, "alias", version, name), previous, current.share)
        self._aliases[adapter][name] = alias
        self._mark_idle(adapter)
        return alias

    def _emit(self, adapter: AdapterId, kind: str, version: int, alias: str = "") -> int:
        events = self._events.setdefault(adapter, [])
        events.append(StoreEvent(len(events) + 1, kind, version, alias))
        return len(events)

    def _mark_idle(self, adapter: AdapterId) -> None:
        aliases = self._aliases.get(adapter, {}).values()
        needed = {number for alias in aliases for number in (alias.version, alias.previous)}
        for version, info in self._versions.items():
            if version.adapter == adapter:
                since = None if version.number in needed else info.idle_since_ms or _now_ms()
                self._versions[version] = replace(info, idle_since_ms=since)


class MemoryPolicyStore:
    """A `PolicyStore` in dictionaries. All events and routers are kept."""

    def __init__(self) -> None:
        self._policies: dict[str, StoredPolicy] = {}
        self._generation = 0
        self._audit: list[AuditEntry] = []
        self._routers: dict[str, Observation] = {}
        self._written = asyncio.Event()

    async def snapshot(self) -> Snapshot:
        return Snapshot(self._generation, tuple(stored for _, stored in sorted(self._policies.items())))

    async def generation(self) -> int:
        return self._generation

    async def seed(self, contents: Mapping[str, str], author: str) -> None:
        if self._generation or self._policies:
            return
        for tenant, content in contents.items():
            self._put(Change(tenant, content, "", 0, author, "import"))

    async def apply(self, change: Change) -> StoredPolicy | None:
        stored = self._policies.get(change.tenant)
        if stored and not change.etag:
            raise PolicyExists(f"{change.tenant}: exists")
        if change.etag and not stored:
            raise NoPolicy(f"{change.tenant}: is not here")
        if stored and stored.etag != change.etag:
            raise StaleEtag(f"{change.tenant}: is at {stored.etag}")
        if change.based_on != self._generation:
            raise StateMoved(f"is at {self._generation}")
        return self._put(change)

    async def position(self) -> str:
        return str(len(self._audit))

    async def changes(self, after: str, timeout_seconds: float) -> str:
        if after == str(len(self._audit)):
            self._written.clear()
            await asyncio.wait({asyncio.create_task(self._written.wait())}, timeout=timeout_seconds)
        return str(len(self._audit))

    async def audit(self, before: str, limit: int, tenant: str | None = None) -> tuple[AuditEntry, ...]:
        older = self._audit[: int(before.split("-")[0]) - 1] if before else self._audit
        return tuple([entry for entry in reversed(older) if tenant in (None, entry.tenant)][:limit])

    async def observe(self, observation: Observation) -> None:
        self._routers[observation.router] = replace(observation, time_ms=_now_ms())

    async def observations(self) -> tuple[Observation, ...]:
        return tuple(seen for _, seen in sorted(self._routers.items()))

    def _put(self, change: Change) -> StoredPolicy | None:
        before = self._policies.pop(change.tenant, None)
        self._generation += 1
        stored = None
        if change.content is not None:
            stored = StoredPolicy(change.tenant, change.content, self._generation, _now_ms(), change.author)
            self._policies[change.tenant] = stored
        self._audit.append(
            AuditEntry(
                f"{len(self._audit) + 1}-0",
                _now_ms(),
                change.author,
                change.action,
                change.tenant,
                self._generation,
                before.content if before else "",
                change.content or "",
            )
        )
        self._written.set()
        return stored


def _now_ms() -> int:
    return int(time.time() * 1000)
