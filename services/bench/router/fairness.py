"""Equal tenants, one of which floods the router: who is served how much."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.bench.router.client import replay, with_fixed
from services.bench.router.metrics import Served, fairness, work
from services.bench.router.profile import EngineProfile
from services.bench.router.simulation import Simulation
from services.bench.router.trace import Arrival, Tenant, TraceSpec, build_trace

NAMES = ("calm-1", "calm-2", "flood")
FLOOD_FACTOR = 10.0
# nobody is promised anything here
SECONDS = 3600.0
BUDGET_TOKENS = 1024
# of each calm tenant; with the flood more than the replicas can serve
PER_SECOND = 4.0


@dataclass(frozen=True)
class Fairness:
    """Jain's index as `metrics.fairness` defines it, and tokens by tenant in the window, asked for and served."""

    jain: float
    asked_tokens: dict[str, float]
    served_tokens: dict[str, float]


def flood_trace(seconds: float, seed: int) -> list[Arrival]:
    """Tenants that each send four requests a second, and one that sends ten times as many."""
    shares = dict.fromkeys(NAMES, 1.0) | {NAMES[-1]: FLOOD_FACTOR}
    tenants = tuple(Tenant(name, share, SECONDS, SECONDS) for name, share in shares.items())
    per_second = PER_SECOND * sum(shares.values())
    return build_trace(TraceSpec(max(2, int(per_second * seconds)), seed, tenants, per_second, burst_factor=1.0))


async def measure_fairness(target: str, trace: Sequence[Arrival]) -> Fairness:
    """Send the trace, and stop with its last request: what is served from the backlog behind it tells nothing."""
    served: list[Served] = []
    sending = asyncio.create_task(replay(target, trace, with_fixed(BUDGET_TOKENS), served.append))
    await asyncio.wait([sending], timeout=trace[-1].at_seconds)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    return judge(trace, served)


def simulate_fairness(profile: EngineProfile, trace: Sequence[Arrival]) -> Fairness:
    """The same, simulated."""
    served = Simulation(profile, fixed_tokens=BUDGET_TOKENS).run(trace, trace[-1].at_seconds)
    return judge(trace, served)


def judge(trace: Sequence[Arrival], served: Sequence[Served]) -> Fairness:
    """How fairly a trace was served."""
    asked = work([Served(arrival, ttft_seconds=0.0) for arrival in trace])
    done = dict.fromkeys(asked, 0.0) | work(served)
    return Fairness(fairness(done, asked), asked, done)
