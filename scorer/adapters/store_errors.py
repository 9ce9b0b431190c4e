"""Why a store of adapters did not do what it was asked.

StoreError
    StoreUnavailable    it cannot be reached, or is starting, or has lost its master; worth a retry
    StoreFull           it has no memory left; nothing was half written
    StoreForbidden      this user may not do that
    StoreMisconfigured  it would lose adapters
    NotInStore          a version or alias that is not there
    VersionExists       the number is taken, perhaps by a version that was deleted
    VersionInUse        an alias points at it
    AliasMoved          somebody else moved the alias first
    UploadIncomplete    chunks are missing; `missing` says which
    EventsLost          events were trimmed before they were read: read the aliases again

Bytes that are not the published ones are an AdapterDamaged, as everywhere. Messages say what to do.
"""

from services.shared.redis.errors import StoreError, StoreForbidden, StoreFull, StoreMisconfigured, StoreUnavailable

# those of any store in Redis belong to this list, too
__all__ = [
    "AliasMoved",
    "EventsLost",
    "NotInStore",
    "StoreError",
    "StoreForbidden",
    "StoreFull",
    "StoreMisconfigured",
    "StoreUnavailable",
    "UploadIncomplete",
    "VersionExists",
    "VersionInUse",
]


class NotInStore(StoreError):
    """No such version or alias."""


class VersionExists(StoreError):
    """The number of a version is never used twice."""


class VersionInUse(StoreError):
    """An alias points at the version."""


class AliasMoved(StoreError):
    """The alias is not at the generation that the caller has seen."""


class UploadIncomplete(StoreError):
    """Some chunks are not in the store."""

    def __init__(self, message: str, missing: tuple[int, ...]) -> None:
        super().__init__(message)
        self.missing = missing


class EventsLost(StoreError):
    """The reader was so late that it missed events."""
