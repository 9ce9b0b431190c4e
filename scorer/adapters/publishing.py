"""How a version gets into a store: described, sent as far as it is not there, checked, and only then visible."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scorer.adapters.bundle import check_of
from scorer.adapters.config import CONFIG_FILE, AdapterConfig
from scorer.adapters.errors import AdapterDamaged, AdapterInvalid, AdapterMismatch
from scorer.adapters.manifest import MAX_MANIFEST_BYTES, WEIGHTS_FILE, Manifest
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import UploadIncomplete
from scorer.adapters.store_values import (
    CHUNK_BYTES,
    DEFAULT_ALIAS,
    Alias,
    Upload,
    VersionId,
    VersionInfo,
    check_alias_name,
    split,
)

# bytes that are in the store or were checked, of all bytes that will be
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class AliasMove:
    """An alias to move to a new version, from the `generation` that the publisher has seen; 0 makes one."""

    alias: str
    generation: int

    def __post_init__(self) -> None:
        # before anything is sent
        check_alias_name(self.alias)


def describe_upload(manifest: bytes, config: bytes, chunk_sums: tuple[str, ...]) -> Upload:
    """A version from the bytes of its files. Raises AdapterInvalid, AdapterDamaged, AdapterMismatch."""
    if len(manifest) > MAX_MANIFEST_BYTES:
        raise AdapterInvalid(f"manifest.json: has {len(manifest)} bytes, {MAX_MANIFEST_BYTES} are allowed")
    upload = Upload(Manifest.from_json(manifest), config, chunk_sums)
    check_of(upload.manifest, AdapterConfig.from_json(config))
    return upload


def check_fingerprint(upload: Upload, fingerprint: str) -> None:
    """Raises AdapterMismatch when the version is for another model than this one."""
    found = upload.manifest.model_fingerprint
    if found != fingerprint:
        raise AdapterMismatch(f"model_fingerprint: is {found!r} in the manifest, the model has {fingerprint!r}")


async def missing_chunks(store: AdapterStore, upload: Upload) -> tuple[int, ...]:
    """The chunks that are still to be sent, in their order. Raises VersionExists."""
    there = await store.begin(upload)
    return tuple(index for index in range(len(upload.chunk_sums)) if index not in there)


async def finish(
    store: AdapterStore, upload: Upload, move: AliasMove | None = None, on_checked: Callable[[int], None] | None = None
) -> tuple[VersionInfo, Alias | None]:
    """Check all chunks as they are in the store, make the version visible, and move the alias.

    Raises AdapterInvalid and AdapterDamaged, after which nothing is left of the upload, and UploadIncomplete.
    """
    missing = await missing_chunks(store, upload)
    if missing:
        raise UploadIncomplete(
            f"{upload.version}: {len(missing)} of {len(upload.chunk_sums)} chunks were not sent, the first is "
            f"{missing[0]}; send them and publish again",
            missing,
        )
    try:
        await _check_stored(store, upload, on_checked or (lambda size_bytes: None))
    except (AdapterInvalid, AdapterDamaged):
        await store.abort(upload)
        raise
    info = await store.commit(upload)
    if move is None:
        return info, None
    return info, await _move(store, upload.version, move)


async def _move(store: AdapterStore, version: VersionId, move: AliasMove) -> Alias:
    if move == AliasMove(DEFAULT_ALIAS, 0):
        found = (await store.aliases(version.adapter)).by_name.get(move.alias)
        # the first version of an adapter has made `default` itself
        if found and found.version == version.number:
            return found
    return await store.set_alias(version.adapter, move.alias, version.number, move.generation)


async def publish(
    store: AdapterStore,
    manifest: Manifest,
    contents: Mapping[str, bytes],
    move: AliasMove | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[VersionInfo, Alias | None]:
    """Send what is not there of these files, then `finish`. The same call goes on after one that broke off."""
    weights = contents[WEIGHTS_FILE]
    upload = await asyncio.to_thread(Upload.of, manifest, contents[CONFIG_FILE], weights)
    progress = _Progress(on_progress, 2 * len(weights))
    missing = await missing_chunks(store, upload)
    for index, content in enumerate(split(weights)):
        if index in missing:
            await store.put_chunk(upload, index, content)
        progress.add(len(content))
    return await finish(store, upload, move, progress.add)


class ChunkCutter:
    """Puts pieces of any size into the store as chunks; holds one chunk."""

    def __init__(self, store: AdapterStore, upload: Upload) -> None:
        self._store = store
        self._upload = upload
        self._start = 0
        self._held = bytearray()

    async def add(self, offset: int, content: bytes) -> None:
        """A piece that begins where the last one ended, or with a chunk. Raises AdapterDamaged for any other."""
        if not self._held and offset >= 0 and offset % CHUNK_BYTES == 0:
            self._start = offset
        if offset != self._start + len(self._held):
            raise AdapterDamaged(
                f"offset: {offset} is not {self._start + len(self._held)}, where the piece before it ended"
            )
        size_bytes = self._upload.manifest.files.weights.size_bytes
        if offset + len(content) > size_bytes:
            raise AdapterDamaged(f"{WEIGHTS_FILE}: goes on behind byte {size_bytes}, where the manifest says it ends")
        self._held += content
        while self._held and len(self._held) >= (wanted := self._upload.chunk_bytes(self._start // CHUNK_BYTES)):
            chunk, self._held = bytes(self._held[:wanted]), self._held[wanted:]
            await self._store.put_chunk(self._upload, self._start // CHUNK_BYTES, chunk)
            self._start += wanted


class _Progress:
    def __init__(self, told: OnProgress | None, total: int) -> None:
        self._told = told
        self._total = total
        self._done = 0

    def add(self, size_bytes: int) -> None:
        self._done += size_bytes
        if self._told:
            self._told(self._done, self._total)


async def _check_stored(store: AdapterStore, upload: Upload, on_checked: Callable[[int], None]) -> None:
    check = check_of(upload.manifest, AdapterConfig.from_json(upload.config))
    async for content in store.read(upload):
        await asyncio.to_thread(check.feed, content)
        on_checked(len(content))
    check.end()
