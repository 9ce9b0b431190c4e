"""Who is next of all that wait: by class, within a class fairly between tenants, each tenant's as they came."""

from collections import Counter
from collections.abc import Mapping
from typing import Generic, TypeVar

from router.admission.lanes import Lanes
from router.admission.waiting import Ticket, Waiting
from router.budgets.limits import Priority

# of the tokens served while it waits, a class gets so much even if higher ones never stop: enough that a request ends
# and gives back what it holds, too little to be felt above
LEAST_SHARE = 0.05

T = TypeVar("T")


class QueueFull(Exception):
    """`count` requests wait already, of the tenant's own when `own`, else of all."""

    def __init__(self, count: int, own: bool) -> None:
        super().__init__(f"{count} requests wait")
        self.count = count
        self.own = own


class FairOrder(Generic[T]):
    """A bounded order of requests, without a clock or a thread. Each step is O(log tenants).

    Between classes it is strict, but for LEAST_SHARE. Within a class, of two tenants that both have requests waiting
    neither is ahead of the other, in tokens by weight, by more than one largest request of each.
    """

    def __init__(self, max_waiting: int, max_waiting_per_tenant: int) -> None:
        self._max_waiting = max_waiting
        self._max_waiting_per_tenant = max_waiting_per_tenant
        # the highest first
        self._classes = {priority: Lanes[T]() for priority in sorted(Priority, reverse=True)}
        self._counts: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._total

    @property
    def counts(self) -> Mapping[str, int]:
        """How many of each tenant wait; tenants without any are not in it."""
        return self._counts

    @property
    def cost_tokens(self) -> int:
        """Of all that wait; O(tenants)."""
        return sum(lanes.cost_tokens for lanes in self._classes.values())

    def push(self, waiting: Waiting, value: T) -> Ticket[T]:
        """A place behind what waits of the same tenant and class. Raises QueueFull."""
        own = self._counts.get(waiting.tenant, 0)
        if own >= self._max_waiting_per_tenant:
            raise QueueFull(own, own=True)
        if self._total >= self._max_waiting:
            raise QueueFull(self._total, own=False)
        ticket = Ticket(waiting, value)
        self._classes[waiting.priority].push(ticket)
        self._counts[waiting.tenant] = own + 1
        self._total += 1
        return ticket

    def first(self) -> Ticket[T] | None:
        """Who is next; None when none waits."""
        if not self._total:
            return None
        lanes = self._next()
        return lanes.first() if lanes else None

    def pop(self) -> Ticket[T]:
        """Who is next, charged and removed. Raises IndexError when none waits."""
        lanes = self._next()
        if lanes is None:
            raise IndexError("nobody waits")
        ticket = lanes.pop()
        self._settle(ticket.waiting)
        self._left(ticket)
        return ticket

    def remove(self, ticket: Ticket[T]) -> bool:
        """Without a charge. Whether it was still waiting."""
        found = self._classes[ticket.waiting.priority].remove(ticket)
        if found:
            self._left(ticket)
        return found

    def ahead_tokens(self, waiting: Waiting) -> float:
        """About the cost of what would be served before this request; O(tenants)."""
        higher = (lanes.cost_tokens for priority, lanes in self._classes.items() if priority > waiting.priority)
        return sum(higher) + self._classes[waiting.priority].ahead_tokens(waiting)

    def _next(self) -> Lanes[T] | None:
        waiting = [lanes for lanes in self._classes.values() if lanes]
        owed = [lanes for lanes in waiting[1:] if lanes.owed_tokens >= max(1, lanes.first().waiting.cost_tokens)]
        return next(iter(owed or waiting), None)

    def _settle(self, served: Waiting) -> None:
        own = self._classes[served.priority]
        own.owed_tokens = max(0.0, own.owed_tokens - served.cost_tokens)
        for priority, lanes in self._classes.items():
            if priority < served.priority and lanes:
                lanes.owed_tokens += LEAST_SHARE * served.cost_tokens

    def _left(self, ticket: Ticket[T]) -> None:
        tenant = ticket.waiting.tenant
        self._counts[tenant] -= 1
        self._total -= 1
        if not self._counts[tenant]:
            del self._counts[tenant]
