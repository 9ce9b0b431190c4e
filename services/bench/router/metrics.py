"""What the benchmark says of served requests."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.bench.router.trace import Arrival


@dataclass(frozen=True)
class Served:
    """How a request went; times are None where it was refused or failed, TPOT also for an answer of one message."""

    arrival: Arrival
    kept_tokens: int = 0
    rule: str = ""
    ttft_seconds: float | None = None
    tpot_seconds: float | None = None

    @property
    def attained(self) -> bool:
        """Whether it was answered in time: first token and, on average, those behind it."""
        if self.ttft_seconds is None or self.ttft_seconds > self.arrival.tenant.ttft_seconds:
            return False
        return self.tpot_seconds is None or self.tpot_seconds <= self.arrival.tenant.tpot_seconds


def attainment(served: Sequence[Served]) -> float:
    """The share of requests that were answered in time; refused ones were not."""
    return sum(one.attained for one in served) / len(served) if served else 0.0


def kept_ratio(served: Sequence[Served]) -> float:
    """The mean kept share of a prompt, of those that were answered."""
    shares = [one.kept_tokens / one.arrival.prompt_tokens for one in served if one.ttft_seconds is not None]
    return sum(shares) / len(shares) if shares else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the values that `share` of them do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def max_min_shares(demands: Mapping[str, float], capacity: float) -> dict[str, float]:
    """What each gets of `capacity` when none can get more without one that has less getting less still."""
    shares: dict[str, float] = {}
    left = capacity
    for index, (name, demand) in enumerate(sorted(demands.items(), key=lambda item: item[1])):
        shares[name] = min(demand, left / (len(demands) - index))
        left -= shares[name]
    return shares


def jain(values: Sequence[float]) -> float:
    """Jain's index: 1 when all are equal, 1/n when one of n has everything."""
    squares = len(values) * sum(value * value for value in values)
    return sum(values) ** 2 / squares if squares else 1.0


def fairness(done: Mapping[str, float], demands: Mapping[str, float]) -> float:
    """Jain's index of what each tenant was served, in the window, relative to its max-min fair share of all served.

    A tenant that asks for less than an equal share is served fairly when it gets all it asked for; what it leaves is
    for the others in equal parts. So 1 means: small tenants got everything, large ones the same as each other.
    """
    shares = max_min_shares(demands, sum(done.values()))
    return jain([done.get(name, 0.0) / share for name, share in shares.items() if share > 0])


def work(served: Sequence[Served]) -> dict[str, float]:
    """Tokens of prompts and answers by tenant, of what was answered."""
    found: Counter[str] = Counter()
    for one in served:
        if one.ttft_seconds is not None:
            found[one.arrival.tenant.name] += one.arrival.prompt_tokens + one.arrival.new_tokens
    return {name: float(tokens) for name, tokens in found.items()}
