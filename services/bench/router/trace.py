"""The requests of the benchmark: the same for every router, from a seed."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate


@dataclass(frozen=True)
class Tenant:
    """One of several that send requests, and what it is promised. `share` is of all requests."""

    name: str
    share: float
    ttft_seconds: float
    tpot_seconds: float


@dataclass(frozen=True)
class Arrival:
    """One request of the trace."""

    at_seconds: float
    tenant: Tenant
    prompt_tokens: int
    new_tokens: int


@dataclass(frozen=True)
class TraceSpec:
    """Poisson arrivals at two rates, which take turns; lengths are uniform on a logarithmic scale.

    The mean rate is `per_second`. A share of `burst_ratio` of the time the rate is `burst_factor` times the one between
    bursts; a burst lasts `burst_seconds` on average, exponentially distributed as the time between two is.
    """

    requests: int
    seed: int
    tenants: tuple[Tenant, ...]
    per_second: float
    burst_factor: float = 2.5
    burst_ratio: float = 0.2
    burst_seconds: float = 6.0
    prompt_tokens: tuple[int, int] = (200, 8000)
    new_tokens: tuple[int, int] = (32, 256)


def build_trace(spec: TraceSpec) -> list[Arrival]:
    """The arrivals in order; the same for the same spec."""
    source = random.Random(spec.seed)
    times = _times(spec, source)
    weights = [tenant.share for tenant in spec.tenants]
    tenants = source.choices(spec.tenants, weights, k=spec.requests)
    return [
        Arrival(at, tenant, _log_uniform(source, *spec.prompt_tokens), _log_uniform(source, *spec.new_tokens))
        for at, tenant in zip(times, tenants, strict=True)
    ]


def slowed(trace: Sequence[Arrival], factor: float) -> list[Arrival]:
    """The same requests, `factor` times further apart."""
    return [replace(arrival, at_seconds=factor * arrival.at_seconds) for arrival in trace]


def _times(spec: TraceSpec, source: random.Random) -> list[float]:
    calm = spec.per_second / (1 - spec.burst_ratio + spec.burst_ratio * spec.burst_factor)
    calm_seconds = spec.burst_seconds * (1 - spec.burst_ratio) / spec.burst_ratio
    found: list[float] = []
    begins, burst = 0.0, False
    while len(found) < spec.requests:
        lasts = source.expovariate(1 / (spec.burst_seconds if burst else calm_seconds))
        found += _poisson(source, calm * (spec.burst_factor if burst else 1.0), begins, begins + lasts)
        begins, burst = begins + lasts, not burst
    return found[: spec.requests]


def _poisson(source: random.Random, per_second: float, begin: float, end: float) -> list[float]:
    # without memory, so that the pause to the first arrival may begin anywhere
    gaps = iter(lambda: source.expovariate(per_second), None)
    found = []
    for at in accumulate(gaps, initial=begin):
        if at >= end:
            break
        if at > begin:
            found.append(at)
    return found


def _log_uniform(source: random.Random, least: int, most: int) -> int:
    return round(math.exp(source.uniform(math.log(least), math.log(most))))
