"""The one place where what went wrong with an adapter or its store becomes a gRPC status."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from scorer.adapters.errors import AdapterDamaged, AdapterError, AdapterInvalid, AdapterMismatch
from scorer.adapters.store_errors import (
    AliasMoved,
    EventsLost,
    NotInStore,
    StoreError,
    UploadIncomplete,
    VersionExists,
    VersionInUse,
)
from services.shared.errors import (
    Aborted,
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ServiceError,
    Unavailable,
    Violation,
)
from services.shared.redis.statuses import STATUSES

# of an adapter as of a resource
RESOURCE = "adapter"
# those whose sentence says it all
SIMPLE: dict[type[StoreError], Callable[[str], ServiceError]] = {
    **STATUSES,
    EventsLost: Unavailable,
    AliasMoved: Aborted,
    VersionInUse: partial(FailedPrecondition, reason="VERSION_IN_USE"),
}


@contextmanager
def as_statuses(name: str, *, sent: bool = False) -> Iterator[None]:
    """What is raised in this block as a ServiceError. `name` is the resource; `sent`: its bytes are the caller's."""
    try:
        yield
    except (StoreError, AdapterError, ValueError) as error:
        translated = of_store(error, name) if isinstance(error, StoreError) else of_adapter(error, sent)
        raise translated from error


def of_store(error: StoreError, name: str) -> ServiceError:
    """The status of what the store did not do."""
    sentence = str(error)
    match error:
        case NotInStore():
            return NotFound(RESOURCE, name, sentence=sentence)
        case VersionExists():
            return AlreadyExists(RESOURCE, name, f"cannot be published: {sentence}")
        case UploadIncomplete(missing=missing):
            return FailedPrecondition(sentence, "UPLOAD_INCOMPLETE", missing_chunks=",".join(map(str, missing)))
    return SIMPLE.get(type(error), ServiceError)(sentence)


def of_adapter(error: AdapterError | ValueError, sent: bool) -> ServiceError:
    """The status of bytes that are no adapter, or of an argument; those in the store are nobody's argument."""
    sentence = str(error)
    match error:
        case AdapterMismatch():
            return FailedPrecondition(sentence, "ADAPTER_MISMATCH")
        case AdapterDamaged() | AdapterInvalid() if not sent:
            return DataLoss(sentence, "ADAPTER_DAMAGED")
    field, _, description = sentence.partition(": ")
    return InvalidArgument(Violation(field, description or sentence))
