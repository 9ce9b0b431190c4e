"""How fast those that wait are served, learned while some do."""

import math
from collections.abc import Callable

# what is longer ago than that hardly counts
WINDOW_SECONDS = 10.0
# nothing is believed before so much was seen
LEAST_SECONDS = 0.5
LEAST_SERVED = 4


class ServiceRate:
    """Cost tokens that leave the queue each second, as a ratio of two fading sums: one odd pause moves it little."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None
        self._tokens = 0.0
        self._seconds = 0.0
        self._served = 0

    def waiting(self, some: bool) -> None:
        """Whether anybody waits from now on. Time in which nobody does tells nothing of what could be served."""
        self._advance()
        self._since = self._clock() if some else None

    def served(self, cost_tokens: int) -> None:
        """A request that waited has got its turn."""
        self._advance()
        self._tokens += cost_tokens
        self._served += 1

    def seconds_for(self, cost_tokens: float) -> float | None:
        """How long it takes to serve so much; infinite when nothing was served for long, None before there are data."""
        self._advance()
        if self._served < LEAST_SERVED or self._seconds < LEAST_SECONDS:
            return None
        return cost_tokens * self._seconds / self._tokens if self._tokens else math.inf

    def _advance(self) -> None:
        if self._since is None:
            return
        now = self._clock()
        fading = math.exp((self._since - now) / WINDOW_SECONDS)
        self._tokens *= fading
        self._seconds = self._seconds * fading + WINDOW_SECONDS * (1 - fading)
        self._since = now
