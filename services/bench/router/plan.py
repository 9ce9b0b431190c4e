"""What the benchmark runs by default, and why it is these figures."""

from dataclasses import dataclass

from services.bench.router.profile import EngineProfile
from services.bench.router.trace import Arrival, Tenant, TraceSpec, build_trace

# one batch has one step time, so that all are promised the same TPOT
TPOT_SECONDS = 0.06
TENANTS = (
    Tenant("chat", 0.5, 2.0, TPOT_SECONDS),
    Tenant("agents", 0.3, 4.0, TPOT_SECONDS),
    Tenant("batch", 0.2, 8.0, TPOT_SECONDS),
)
# the engine as measured on one core would take the trace for hours; all its times are divided by this
SPEEDUP = 60.0
# prefill alone keeps the replicas 30% busy; in bursts they have no time for steps that read whole prompts
PER_SECOND = 14.0


@dataclass(frozen=True)
class Plan:
    """How much to run. `seconds` are those of the parts that are no trace."""

    requests: int
    seconds: float
    seed: int

    @property
    def profile(self) -> EngineProfile:
        """Of each replica."""
        return EngineProfile().faster(SPEEDUP)

    def trace(self) -> list[Arrival]:
        """The requests."""
        return build_trace(TraceSpec(self.requests, self.seed, TENANTS, PER_SECOND))
