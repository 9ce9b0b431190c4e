"""Where adapters lie: immutable versions, and aliases that move between them."""

from collections.abc import AsyncIterator
from typing import Protocol

from scorer.adapters.store_values import (
    AdapterId,
    AdapterPage,
    Alias,
    Aliases,
    StoreEvent,
    Upload,
    VersionId,
    VersionInfo,
)


class AdapterStore(Protocol):
    """A version appears complete or not at all, and its number is never used again.

    An upload that is not committed vanishes by itself. Each method may also raise StoreUnavailable, StoreForbidden,
    and StoreFull when it writes (`store_errors.py`).
    """

    async def next_version(self, adapter: AdapterId) -> int:
        """A number that no version had so far; another publisher may take it first."""

    async def begin(self, upload: Upload) -> frozenset[int]:
        """The chunks that are already there, and stay for another while. Raises VersionExists."""

    async def put_chunk(self, upload: Upload, index: int, content: bytes) -> None:
        """Add a chunk; again is no mistake. Raises AdapterDamaged when these are not its bytes."""

    async def commit(self, upload: Upload) -> VersionInfo:
        """Read everything back, then make the version visible; the first one becomes `default`. May be repeated.

        Raises UploadIncomplete, VersionExists, and AdapterDamaged for bytes that are not the manifest's.
        """

    async def abort(self, upload: Upload) -> None:
        """Remove what was uploaded; a committed version stays."""

    async def open(self, version: VersionId) -> Upload:
        """What was committed, without the weights. Raises NotInStore."""

    def read(self, upload: Upload) -> AsyncIterator[bytes]:
        """The weights, chunk by checked chunk, at most two in memory. Raises AdapterDamaged, NotInStore."""

    async def adapters(self, fingerprint: str | None = None, after: str = "", limit: int = 100) -> AdapterPage:
        """Adapters with versions, or with versions for this model fingerprint."""

    async def versions(self, adapter: AdapterId) -> tuple[VersionInfo, ...]:
        """All versions, oldest number first; none for an unknown adapter."""

    async def aliases(self, adapter: AdapterId) -> Aliases:
        """All aliases as of one moment; none for an unknown adapter."""

    async def set_alias(
        self, adapter: AdapterId, name: str, version: int, generation: int, share: float | None = None
    ) -> Alias:
        """Move an alias that is at `generation`, or make one (0); without a `share` it keeps the one it has.

        Raises AliasMoved, NotInStore, and ValueError when all shares together would be above 1.
        """

    async def remove_alias(self, adapter: AdapterId, name: str, generation: int) -> None:
        """Remove an alias other than `default`. Raises AliasMoved, NotInStore."""

    async def delete_version(self, version: VersionId) -> None:
        """Remove a version; who reads it now may finish. Raises VersionInUse, NotInStore."""

    async def collect(self, adapter: AdapterId, grace_seconds: float) -> tuple[int, ...]:
        """Delete the versions that no alias has needed for that long, not even for a rollback; their numbers."""

    async def events(self, adapter: AdapterId, after: int, timeout_seconds: float) -> tuple[StoreEvent, ...]:
        """The events after number `after`, at once or when there are some; none at the timeout. Raises EventsLost."""
