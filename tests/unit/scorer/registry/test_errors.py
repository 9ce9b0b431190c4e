"""Each way in which a store or an adapter can be wrong has its own status."""

import grpc
import pytest

from scorer.adapters.errors import AdapterDamaged, AdapterError, AdapterInvalid, AdapterMismatch
from scorer.adapters.store_errors import (
    AliasMoved,
    EventsLost,
    NotInStore,
    StoreError,
    StoreForbidden,
    StoreFull,
    StoreMisconfigured,
    StoreUnavailable,
    UploadIncomplete,
    VersionExists,
    VersionInUse,
)
from scorer.registry.errors import as_statuses
from services.shared.errors import ServiceError

NAME = "models/us/tiny/adapters/news"
Code = grpc.StatusCode
STATUSES = [
    (StoreUnavailable("away"), Code.UNAVAILABLE),
    (EventsLost("late"), Code.UNAVAILABLE),
    (StoreFull("full"), Code.RESOURCE_EXHAUSTED),
    (StoreForbidden("reader"), Code.PERMISSION_DENIED),
    (StoreMisconfigured("lru"), Code.FAILED_PRECONDITION),
    (NotInStore("nothing"), Code.NOT_FOUND),
    (VersionExists("taken"), Code.ALREADY_EXISTS),
    (VersionInUse("default"), Code.FAILED_PRECONDITION),
    (AliasMoved("moved"), Code.ABORTED),
    (UploadIncomplete("half", (1, 2)), Code.FAILED_PRECONDITION),
    (AdapterMismatch("other model"), Code.FAILED_PRECONDITION),
    (AdapterDamaged("file: damaged"), Code.DATA_LOSS),
    (AdapterInvalid("file: no tensors"), Code.DATA_LOSS),
    (ValueError("alias: 'A' is not a name"), Code.INVALID_ARGUMENT),
]


def translated(error: Exception, *, sent: bool = False) -> ServiceError:
    with pytest.raises(ServiceError) as raised, as_statuses(NAME, sent=sent):
        raise error
    return raised.value


@pytest.mark.parametrize(("error", "code"), STATUSES, ids=lambda value: type(value).__name__)
def test_error_has_its_status_and_keeps_its_sentence(error, code):
    status = translated(error).to_status()
    assert status.code == code
    assert str(error) in status.details


def test_every_error_is_covered_here():
    # those of the router's own store are none of an adapter
    of_stores = {cls for cls in StoreError.__subclasses__() if not cls.__module__.startswith("router.")}
    wanted = {*of_stores, *AdapterError.__subclasses__(), ValueError}
    assert {type(error) for error, _ in STATUSES} == wanted


@pytest.mark.parametrize("error", [AdapterDamaged("config: changed"), AdapterInvalid("config: no JSON")])
def test_wrong_bytes_of_a_publisher_are_an_argument(error):
    refused = translated(error, sent=True)
    assert refused.to_status().code == Code.INVALID_ARGUMENT
    assert str(refused) == str(error)


def test_bug_stays_a_bug():
    with pytest.raises(KeyError), as_statuses(NAME):
        raise KeyError("x")
