"""The one place where what went wrong with the store of policies becomes a gRPC status."""

from collections.abc import Iterator
from contextlib import contextmanager

from router.tenants.store import NoPolicy, PolicyExists, StaleEtag, StateMoved
from services.shared.errors import Aborted, AlreadyExists, NotFound, ServiceError
from services.shared.redis.errors import StoreError
from services.shared.redis.statuses import STATUSES


@contextmanager
def as_statuses(name: str) -> Iterator[None]:
    """A StoreError of this block as a ServiceError. `name` is the resource."""
    try:
        yield
    except StoreError as error:
        raise _status(error, name) from error


def _status(error: StoreError, name: str) -> ServiceError:
    match error:
        case NoPolicy():
            return NotFound("name", name, sentence=str(error))
        case PolicyExists():
            return AlreadyExists("name", name, "exists; update it with its etag")
        case StaleEtag() | StateMoved():
            return Aborted(str(error))
    return STATUSES.get(type(error), ServiceError)(str(error))
