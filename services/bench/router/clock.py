"""Time that only jumps from event to event."""

import heapq
from collections.abc import Callable
from itertools import count


class Clock:
    """Simulated time, and what happens when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def time(self) -> float:
        """Seconds since the beginning."""
        return self.now

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Have something happen later."""
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def run(self, go_on: Callable[[], bool]) -> None:
        """Until nothing is left, or it is not to go on."""
        while self._events and go_on():
            self.now, _, event = heapq.heappop(self._events)
            event()
