"""Why a store in Redis did not do what it was asked.

StoreError
    StoreUnavailable    it cannot be reached, or is starting, or has lost its master; worth a retry
    StoreFull           it has no memory left; nothing was half written
    StoreForbidden      this user may not do that
    StoreMisconfigured  it would lose what it keeps

Messages say what to do.
"""


class StoreError(Exception):
    """The store did not do it."""


class StoreUnavailable(StoreError):
    """The store cannot be reached; the same call may succeed later."""


class StoreFull(StoreError):
    """The store has no memory left."""


class StoreForbidden(StoreError):
    """The store refuses this user or this command."""


class StoreMisconfigured(StoreError):
    """The store is set up in a way that loses what it keeps."""
