"""Series by tenant, of which there are never more than allowed, however many tenants come and go."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

# no tenant has such a name
OTHER, UNKNOWN = "_other", "_unknown"
# a tenant that is silent for so long gives its place to another
IDLE_SECONDS = 3600.0

SeriesT = TypeVar("SeriesT")


class ByTenant(Generic[SeriesT]):
    """What is counted for each tenant, made by `make` for its label, and given to `drop` when that is given up.

    `most` tenants have a label of their own. Those that come later are OTHER together, until one of the first has been
    silent for IDLE_SECONDS; should that one come back, it counts from 0, as after a restart.
    """

    def __init__(
        self,
        most: int,
        make: Callable[[str], SeriesT],
        drop: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._make = make
        self._drop = drop
        self._clock = clock
        # those that were silent longest come first
        self._used: OrderedDict[str, float] = OrderedDict()
        self._series: dict[str, SeriesT] = {}

    def of(self, tenant: str) -> SeriesT:
        """The series under which this tenant counts; empty is a caller that nobody knows."""
        label = self._take(tenant) if tenant else UNKNOWN
        series = self._series.get(label)
        if series is None:
            series = self._series[label] = self._make(label)
        return series

    def label(self, tenant: str) -> str:
        """The label that this tenant has at the moment."""
        return tenant if tenant in self._used else OTHER if tenant else UNKNOWN

    def _take(self, tenant: str) -> str:
        if tenant not in self._used and len(self._used) >= self._most and not self._make_room():
            return OTHER
        self._used[tenant] = self._clock()
        self._used.move_to_end(tenant)
        return tenant

    def _make_room(self) -> bool:
        oldest, used_at = next(iter(self._used.items()), ("", 0.0))
        if not oldest or self._clock() - used_at < IDLE_SECONDS:
            return False
        del self._used[oldest]
        self._series.pop(oldest, None)
        self._drop(oldest)
        return True
