"""Published adapters as folders on a local disk, never more bytes than allowed: those used least recently go first."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import structlog
from opentelemetry.trace import NoOpTracer, Tracer

from scorer.adapters.bundle import verify_numbers
from scorer.adapters.config import AdapterConfig
from scorer.adapters.errors import AdapterError
from scorer.adapters.fetching import fetch_folder
from scorer.adapters.folder import read_folder
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_values import Upload, VersionId

logger = structlog.get_logger(__name__)


class CacheFull(Exception):
    """There is no room for a version. The message says what to do."""


@dataclass(frozen=True)
class CachedAdapter:
    """A checked version in a folder. `sha256` and `size_bytes` are those of its weights."""

    version: VersionId
    folder: Path
    sha256: str
    size_bytes: int
    lookahead_tokens: int


class AdapterCache:
    """The folders below `root`, which no other process writes to."""

    def __init__(self, root: Path, max_bytes: int, tracer: Tracer | None = None) -> None:
        self.max_bytes = max_bytes
        # since the start
        self.fetched = 0
        self.failed = 0
        self._root = root
        self._tracer = tracer or NoOpTracer()
        self._checked: set[Path] = set()
        self._pinned: dict[str, frozenset[Path]] = {}
        self._one_at_a_time = asyncio.Lock()

    def pin(self, owner: str, adapters: Iterable[CachedAdapter]) -> None:
        """These are not removed until the same owner pins others."""
        self._pinned[owner] = frozenset(adapter.folder for adapter in adapters)

    def used_bytes(self) -> int:
        """Of what lies on the disk now."""
        return sum(map(_folder_bytes, self._root.iterdir())) if self._root.is_dir() else 0

    async def get(self, store: AdapterStore, version: VersionId) -> CachedAdapter:
        """The folder of a version, fetched unless it is there.

        Raises CacheFull, AdapterDamaged, AdapterInvalid, and StoreError.
        """
        upload = await store.open(version)
        folder = self._root / folder_name(upload)
        async with self._one_at_a_time:
            if not await asyncio.to_thread(self._has, folder, upload):
                await self._watched(store, upload, folder)
            self._checked.add(folder)
            await asyncio.to_thread(os.utime, folder)
        weights, config = upload.manifest.files.weights, AdapterConfig.from_json(upload.config)
        return CachedAdapter(version, folder, weights.sha256, weights.size_bytes, config.lookahead_tokens)

    async def _watched(self, store: AdapterStore, upload: Upload, folder: Path) -> None:
        with self._tracer.start_as_current_span("fetch adapter") as span:
            span.set_attribute("lookaheadkv.adapter.id", str(upload.version))
            span.set_attribute("lookaheadkv.adapter.bytes", _size_bytes(upload))
            try:
                await self._fetch(store, upload, folder)
            except Exception:
                self.failed += 1
                raise
        self.fetched += 1

    async def _fetch(self, store: AdapterStore, upload: Upload, folder: Path) -> None:
        try:
            await asyncio.to_thread(self._make_room, upload)
            await fetch_folder(store, upload, folder)
        except OSError as error:
            raise CacheFull(f"{upload.version}: cannot be written to {self._root}: {error.strerror}") from error
        logger.info("adapter fetched", version=str(upload.version), folder=str(folder))

    def _has(self, folder: Path, upload: Upload) -> bool:
        """Whether the folder is there; one that an earlier process left is checked first."""
        if folder.is_dir() and folder not in self._checked:
            try:
                verify_numbers(read_folder(folder, upload.manifest.model_config_fields))
            except AdapterError as error:
                logger.warning("adapter in the cache is damaged, and fetched again", reason=str(error))
                shutil.rmtree(folder)
        return folder.is_dir()

    def _make_room(self, upload: Upload) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        needed, limit = _size_bytes(upload), self.max_bytes
        found = sorted(self._root.iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
        sizes = {folder: _folder_bytes(folder) for folder in found}
        pinned = frozenset[Path]().union(*self._pinned.values())
        for folder in found:
            if sum(sizes.values()) + needed <= limit:
                return
            if folder not in pinned:
                shutil.rmtree(folder)
                self._checked.discard(folder)
                del sizes[folder]
        if (kept := sum(sizes.values())) + needed > limit:
            raise CacheFull(
                f"{upload.version}: needs {needed} bytes beside the {kept} of adapters in use, and the cache may have "
                f"{limit}; raise SCORER_ADAPTER_CACHE_BYTES, or remove aliases"
            )


def folder_name(upload: Upload) -> str:
    """A name that no other version has, and no other bytes."""
    version, digest = upload.version, hashlib.sha256(upload.manifest.to_json()).hexdigest()
    # a plus is in no name
    return "+".join((*version.adapter.model.split("/"), version.adapter.name, str(version.number), digest[:16]))


def _size_bytes(upload: Upload) -> int:
    return upload.manifest.files.weights.size_bytes + len(upload.config) + len(upload.manifest.to_json())


def _folder_bytes(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.iterdir())
    except FileNotFoundError:
        # removed meanwhile
        return 0
