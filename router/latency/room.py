"""Whether a replica can start another request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Occupancy:
    """A replica at a moment: calls in flight, and KV slots that they hold or will need, and the most of both.

    A most of 0 is not known, and none.
    """

    calls: int
    max_running: int
    slots: int
    total_slots: int


@dataclass(frozen=True)
class RoomRule:
    """A replica is sent `backlog_ratio` more than it can run, at least one request, so that it never waits for us.

    What is sent beyond that would wait there as well as here, but out of our order.
    """

    backlog_ratio: float = 0.1

    def has_room(self, replica: Occupancy, kv_tokens: int) -> bool:
        """Whether a request of so many KV tokens starts there soon. An idle replica takes any, and judges it itself."""
        if not replica.calls:
            return True
        return self._has_place(replica) and self._has_slots(replica, kv_tokens)

    def _has_place(self, replica: Occupancy) -> bool:
        backlog = max(1, int(self.backlog_ratio * replica.max_running))
        return not replica.max_running or replica.calls < replica.max_running + backlog

    def _has_slots(self, replica: Occupancy, kv_tokens: int) -> bool:
        most = (1 + self.backlog_ratio) * replica.total_slots
        # one that fits into no pool is refused there at once
        return not replica.total_slots or kv_tokens > replica.total_slots or replica.slots + kv_tokens <= most
