"""A request that waits, as order and queue see it."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from router.budgets.limits import Priority

# a tenant of less would make virtual time jump so far that no float tells the others apart
LEAST_WEIGHT = 1e-3

T = TypeVar("T")


@dataclass(frozen=True)
class Waiting:
    """A request that waits. `cost_tokens` is what its tenant is charged, `kv_tokens` the slots it needs to start.

    The cost is all of the prompt and the longest answer: what a replica has to compute. What will be kept of the prompt
    does not count. It is decided only when a replica was picked, and a tenant that lets more be evicted would be served
    more prompts, which cost the others more prefill than its shorter steps give back; memory has a quota of its own.
    """

    tenant: str
    priority: Priority
    weight: float
    cost_tokens: int
    kv_tokens: int

    @property
    def charge(self) -> float:
        """Its cost in virtual time."""
        return max(1, self.cost_tokens) / max(LEAST_WEIGHT, self.weight)


# by identity: two equal requests are two
@dataclass(eq=False)
class Ticket(Generic[T]):
    """A place in the order, and what its owner keeps there."""

    waiting: Waiting
    value: T
