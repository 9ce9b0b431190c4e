"""How often a request may be tried again, so that an outage is not made worse by those who meet it."""

from dataclasses import dataclass

# kept for when few requests come
MOST_SAVED = 10.0


@dataclass(frozen=True)
class RetrySettings:
    """`attempts` of one request at most. Retries are `ratio` of all requests at most, beyond a few that were saved."""

    attempts: int = 3
    ratio: float = 0.2


class RetryBudget:
    """Each request earns a share of a retry."""

    def __init__(self, settings: RetrySettings | None = None) -> None:
        self.settings = settings or RetrySettings()
        self._saved = MOST_SAVED

    def earn(self) -> None:
        """A request came."""
        self._saved = min(MOST_SAVED, self._saved + self.settings.ratio)

    def spend(self, attempts: int) -> bool:
        """Whether a request that was tried so many times may be tried again, which then is spent."""
        if attempts >= self.settings.attempts or self._saved < 1:
            return False
        self._saved -= 1
        return True
