"""What is counted of an answer, and for how many versions."""

import pytest
from prometheus_client import CollectorRegistry

from protos.generation.v1 import generation_pb2
from services.runtime.metrics import SCORED_BY, RequestMetrics

WINDOW = ("window", "", "", "")


def answer(version: int = 0, mass: float | None = 0.8, kept: int = 20) -> generation_pb2.GenerateComplete:
    kv = generation_pb2.KvReport(
        policy="fused" if version else "window",
        prompt_tokens=100,
        kept_tokens=kept,
        freed_tokens=100 - kept,
        retained_mass=mass,
        adapter="mine" if version else "",
        adapter_version=version,
        adapter_alias="canary" if version else "",
    )
    for duration, seconds in ((kv.queue_time, 1), (kv.ttft, 2), (kv.scoring_time, 3), (kv.compaction_time, 4)):
        duration.FromSeconds(seconds)
    return generation_pb2.GenerateComplete(kv=kv, finish_reason=generation_pb2.FINISH_REASON_LENGTH)


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def value(registry):
    """value(name, policy, adapter, version, alias): what the registry holds."""

    def read(name: str, *scorer: str) -> float | None:
        return registry.get_sample_value(f"lookaheadkv_{name}", dict(zip(SCORED_BY, scorer, strict=True)))

    return read


def test_an_answer_counts_under_the_policy_version_and_alias_that_its_report_names(registry, value):
    RequestMetrics(registry).finished(answer(3))
    scorer = ("fused", "mine", "3", "canary")
    counted = {"policy": "fused", "finish_reason": "length"}
    assert registry.get_sample_value("lookaheadkv_requests_total", counted) == 1
    assert (value("kv_tokens_retained_total", *scorer), value("kv_tokens_evicted_total", *scorer)) == (20, 80)
    names = ("queue_wait_seconds", "ttft_seconds", "scoring_seconds", "compaction_seconds", "predicted_mass_ratio")
    assert [value(f"{name}_sum", *scorer) for name in names] == [1, 2, 3, 4, 0.8]
    assert [value(f"{name}_count", *scorer) for name in names] == [1] * 5


def test_what_an_answer_did_not_do_is_not_counted_as_a_zero(registry, value):
    RequestMetrics(registry).finished(answer(mass=None, kept=100))
    assert value("ttft_seconds_count", *WINDOW) == 1
    names = ("scoring_seconds", "compaction_seconds", "predicted_mass_ratio")
    assert [value(f"{name}_count", *WINDOW) for name in names] == [None] * 3


def test_versions_that_come_and_go_leave_no_more_series_than_allowed(registry, value):
    metrics = RequestMetrics(registry, max_scorers=3)
    for version in range(1, 500):
        metrics.finished(answer(version))
        # never forgotten, for it is always in use
        metrics.finished(answer())
    found = [sample for metric in registry.collect() for sample in metric.samples if "version" in sample.labels]
    assert {sample.labels["version"] for sample in found} == {"", "498", "499"}
    assert value("kv_tokens_evicted_total", *WINDOW) == 499 * 80


def test_a_version_that_was_forgotten_counts_from_nothing(registry, value):
    metrics = RequestMetrics(registry, max_scorers=1)
    for version in (1, 2, 1):
        metrics.finished(answer(version))
    assert value("ttft_seconds_count", "fused", "mine", "1", "canary") == 1
