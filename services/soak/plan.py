"""What a soak does, how long it waits for things, and what it must find."""

from dataclasses import dataclass

# the name of the adapter whose versions and aliases change
ADAPTER = "soak"
# moved at random
MOVED = ("default", "canary", "customer-a")
# moved right after each fault only, to see how soon answers follow
FRESH = "fresh"
# of the large adapter
LARGE = "large"

# the promises
CONVERGE_SECONDS = 5.0
REDIS_P99_MS = 20.0

# of one answer; what takes longer hangs, and has failed
ANSWER_SECONDS = 60.0
# of the first answer by a version that an alias was moved to, and of publishing or loading the large one
WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Plan:
    """`restarts` kill Redis; beside them a third as many partitions leave it silent. `seed` decides all that is random.

    `pause_seconds` is the mean between two moves, `workers` how many requests are always on their way.
    """

    moves: int
    restarts: int
    large_bytes: int
    seed: int
    workers: int = 4
    pause_seconds: float = 0.3

    @property
    def partitions(self) -> int:
        return self.restarts // 3

    @property
    def limit_seconds(self) -> float:
        """After so long the soak hangs, and has failed."""
        return 600.0 + 2.0 * self.moves + 60.0 * self.restarts
