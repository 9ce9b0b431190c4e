"""The order within one priority class: start-time fair queueing between tenants, by token cost."""

import heapq
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from router.admission.waiting import LEAST_WEIGHT, Ticket, Waiting

T = TypeVar("T")


@dataclass
class Lane(Generic[T]):
    """A tenant's requests as they came; the first one begins at `start`, in virtual time."""

    start: float
    weight: float
    cost_tokens: int = 0
    # gives up any of them in O(1), the first one, too
    tickets: OrderedDict[Ticket[T], None] = field(default_factory=OrderedDict)


class Lanes(Generic[T]):
    """Tenants of one class. Each has its lane in the heap once, so that a step costs O(log tenants).

    Only the first request of a lane has a virtual time, so one that leaves is not charged and a new weight holds from
    the next request on. A lane that ran empty stays until its time has come: leaving makes no debt undone, and who
    comes begins at the present, without credit.
    """

    def __init__(self) -> None:
        # what it is owed by the classes above it
        self.owed_tokens = 0.0
        self._lanes: dict[str, Lane[T]] = {}
        # start, number of the push, tenant
        self._heap: list[tuple[float, int, str]] = []
        self._pushes = 0
        self._now = 0.0
        self._count = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    @property
    def cost_tokens(self) -> int:
        """Of all that wait."""
        return sum(lane.cost_tokens for lane in self._lanes.values())

    def push(self, ticket: Ticket[T]) -> None:
        """To the end of its tenant's lane."""
        waiting = ticket.waiting
        lane = self._lanes.get(waiting.tenant)
        if lane is None:
            lane = self._lanes[waiting.tenant] = Lane(self._now, waiting.weight)
            self._queue(waiting.tenant, lane)
        lane.tickets[ticket] = None
        lane.weight = waiting.weight
        lane.cost_tokens += waiting.cost_tokens
        self._count += 1

    def first(self) -> Ticket[T]:
        """Who is next. There must be one."""
        while not (lane := self._lanes[self._heap[0][2]]).tickets:
            # all others begin later, so its past counts no more
            self._now, _, tenant = heapq.heappop(self._heap)
            del self._lanes[tenant]
        return next(iter(lane.tickets))

    def pop(self) -> Ticket[T]:
        """Who is next, charged and removed. There must be one."""
        ticket = self.first()
        start, _, tenant = self._heap[0]
        lane = self._lanes[tenant]
        lane.start = start + ticket.waiting.charge
        self._now = start
        self._pushes += 1
        heapq.heapreplace(self._heap, (lane.start, self._pushes, tenant))
        self.remove(ticket)
        return ticket

    def remove(self, ticket: Ticket[T]) -> bool:
        """Without a charge. Whether it was still here."""
        lane = self._lanes.get(ticket.waiting.tenant)
        if lane is None or ticket not in lane.tickets:
            return False
        del lane.tickets[ticket]
        lane.cost_tokens -= ticket.waiting.cost_tokens
        self._count -= 1
        if not self._count:
            self._forget()
        return True

    def ahead_tokens(self, waiting: Waiting) -> float:
        """About the cost of what would be served before this request; O(tenants)."""
        own = self._lanes.get(waiting.tenant)
        begins = self._now if own is None else own.start + own.cost_tokens / max(LEAST_WEIGHT, waiting.weight)
        others = (lane for lane in self._lanes.values() if lane is not own)
        shares = (min(lane.cost_tokens, max(0.0, begins - lane.start) * lane.weight) for lane in others)
        return sum(shares, float(own.cost_tokens if own else 0))

    def _queue(self, tenant: str, lane: Lane[T]) -> None:
        self._pushes += 1
        heapq.heappush(self._heap, (lane.start, self._pushes, tenant))

    def _forget(self) -> None:
        # nobody waits, so nobody has been kept waiting: all are even
        self._lanes.clear()
        self._heap.clear()
        self._now = self.owed_tokens = 0.0
