"""What the router knows at the moment: of its runtimes, and of the tenants' policies."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from router.latency.model import LatencyModel

TARGET = "target"


class ReplicaState(Protocol):
    """What is shown of a runtime. `reason_out` is why it is not picked, in a few words; empty when it is."""

    @property
    def target(self) -> str: ...

    @property
    def usable(self) -> bool: ...

    @property
    def reason_out(self) -> str: ...

    @property
    def calls(self) -> int: ...

    @property
    def used_ratio(self) -> float: ...

    @property
    def latency(self) -> LatencyModel: ...


class PolicyState(Protocol):
    """What is shown of the tenants' policies."""

    @property
    def generation(self) -> int: ...

    @property
    def age_seconds(self) -> float: ...

    @property
    def fresh(self) -> bool: ...

    @property
    def problem(self) -> str: ...


def replica_metrics(replicas: Callable[[], Iterable[ReplicaState]]) -> Iterator[Metric]:
    """Of each runtime that there is now."""
    found = list(replicas())
    for name, meaning, read in REPLICA_GAUGES:
        family = _gauge(f"replica_{name}", meaning, TARGET)
        for replica in found:
            family.add_metric([replica.target], read(replica))
        yield family
    out = _gauge("replica_out", "1 for a runtime that is not picked, with the reason.", TARGET, "reason")
    for replica in found:
        if replica.reason_out:
            out.add_metric([replica.target, replica.reason_out.replace(" ", "_")], 1)
    yield out


def policy_metrics(policies: PolicyState) -> Iterator[Metric]:
    """Of the policies that requests are decided by."""
    values = (
        ("policy_generation", "The state of the tenants' budgets that requests are decided by.", policies.generation),
        (
            "policy_age_seconds",
            "Since the store last said that it is the newest; 0 without a store.",
            policies.age_seconds,
        ),
        ("policies_stale", "1 when that was too long ago, or there is no state yet.", not policies.fresh),
        ("policy_problem", "1 while the store is away, or has a policy that cannot be read.", bool(policies.problem)),
    )
    for name, meaning, value in values:
        family = _gauge(name, meaning)
        family.add_metric([], float(value))
        yield family


def quota_metrics(shared: Callable[[], bool]) -> Iterator[Metric]:
    """Of the tenants' quotas."""
    family = _gauge("quotas_local", "1 while each router enforces a share of the quotas, for want of Redis.")
    family.add_metric([], float(not shared()))
    yield family


Read = Callable[[ReplicaState], float]
REPLICA_GAUGES: tuple[tuple[str, str, Read], ...] = (
    ("usable", "1 for a runtime that can get a request.", lambda replica: float(replica.usable)),
    ("requests_in_flight", "This router's calls on a runtime.", lambda replica: replica.calls),
    ("kv_used_ratio", "Used share of a runtime's KV slots, as it last said.", lambda replica: replica.used_ratio),
    (
        "ttft_base_seconds",
        "Learned: time to the first token of an empty prompt.",
        lambda replica: replica.latency.ttft_coefficients[0],
    ),
    (
        "ttft_prompt_token_seconds",
        "Learned: what each prompt token adds to that.",
        lambda replica: replica.latency.ttft_coefficients[1],
    ),
    (
        "ttft_queued_token_seconds",
        "Learned: what each token of the prompts ahead adds to it.",
        lambda replica: replica.latency.ttft_coefficients[2],
    ),
    (
        "tpot_base_seconds",
        "Learned: a step of decoding that reads no KV.",
        lambda replica: replica.latency.tpot_base_seconds,
    ),
    (
        "tpot_token_seconds",
        "Learned: what each KV token of the batch adds to that.",
        lambda replica: replica.latency.tpot_token_seconds,
    ),
    ("latency_samples", "Answers that this was learned from.", lambda replica: replica.latency.samples),
)


def _gauge(name: str, meaning: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"lookaheadkv_{name}", meaning, labels=labels)
