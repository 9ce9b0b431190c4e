"""When a replica that answers its polls is left alone for a while: its calls fail, or take far longer than others'."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from router.latency.model import LatencyModel

# of a prompt that all are compared by
TYPICAL_TOKENS = 1000
# before fewer answers nobody is called slow
LEAST_SAMPLES = 20
# slower than the others by less than this is nobody's concern
LEAST_SECONDS = 0.05


@dataclass(frozen=True)
class OutlierSettings:
    """`failures` in a row, or `slow_factor` times the median of the others, and it is out for `first_seconds`.

    Each time that follows is twice as long, to `most_seconds`. At most `most_ratio` of all replicas are out by that.
    """

    failures: int = 5
    slow_factor: float = 5.0
    first_seconds: float = 5.0
    most_seconds: float = 300.0
    most_ratio: float = 0.5


class Standing:
    """What a replica's calls say of it. Out until `until`, then on probation: one call at a time, until one is good."""

    def __init__(self) -> None:
        self.failures = 0
        self.times_out = 0
        self.until = 0.0
        self.on_probation = False

    def out(self, now: float) -> bool:
        """Whether it is to be left alone."""
        return now < self.until

    def failed(self) -> None:
        """A call failed, and not for its own sake."""
        self.failures += 1

    def succeeded(self) -> None:
        """A call was answered to its end."""
        self.failures = 0
        if self.on_probation:
            self.on_probation = False
            self.times_out = 0

    def is_bad(self, settings: OutlierSettings) -> bool:
        """Whether it should be out; one on probation for its first failure."""
        return self.failures >= (1 if self.on_probation else settings.failures)

    def put_out(self, now: float, settings: OutlierSettings) -> float:
        """Out from now on; for how many seconds."""
        seconds = min(settings.first_seconds * 2**self.times_out, settings.most_seconds)
        self.until = now + seconds
        # more would not change anything
        self.times_out = min(self.times_out + 1, 30)
        self.failures = 0
        self.on_probation = True
        return seconds


def slow_ones(models: Mapping[str, LatencyModel], settings: OutlierSettings) -> dict[str, float]:
    """Of the replicas, those that take far longer than the median of the others, and how many times as long."""
    typical = {
        name: model.predict_ttft(TYPICAL_TOKENS, 0) for name, model in models.items() if model.samples >= LEAST_SAMPLES
    }
    found = {}
    for name, seconds in typical.items():
        others = [other for key, other in typical.items() if key != name]
        usual = median(others) if others else math.inf
        if seconds > settings.slow_factor * usual and seconds - usual > LEAST_SECONDS:
            found[name] = seconds / usual if usual else math.inf
    return found


def may_put_out(already_out: int, replicas: int, settings: OutlierSettings) -> bool:
    """Whether one more may be out: never so many that the others would break under what they get."""
    return already_out + 1 <= settings.most_ratio * replicas
