"""Which gRPC status it becomes when a store in Redis did not do what it was asked."""

from collections.abc import Callable, Mapping
from functools import partial

from services.shared.errors import FailedPrecondition, PermissionDenied, ResourceExhausted, ServiceError, Unavailable
from services.shared.redis.errors import (
    StoreError,
    StoreForbidden,
    StoreFull,
    StoreMisconfigured,
    StoreUnavailable,
)

STATUSES: Mapping[type[StoreError], Callable[[str], ServiceError]] = {
    StoreUnavailable: Unavailable,
    # waiting does not help
    StoreFull: ResourceExhausted,
    StoreForbidden: PermissionDenied,
    StoreMisconfigured: partial(FailedPrecondition, reason="STORE_MISCONFIGURED"),
}
