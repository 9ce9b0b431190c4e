"""What gathers in a request's record, and who is told of it."""

import time
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from protos.generation.v1 import generation_pb2
from router.budgets.base import Budget, BudgetRequest, NoBudget, Slo
from router.decisions import Placed
from router.metrics.requests import RequestMetrics
from router.request_log import RequestLog
from router.request_record import HTTP, RequestRecord, Requests, rejection_of
from router.request_spans import RequestSpans
from services.shared.errors import (
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    ServiceError,
    Unavailable,
    Violation,
)

PLACED = Placed("acme", BudgetRequest(300, new_tokens=20, hint_budget_tokens=128), Budget(100, "load", ("full",)), 7)


def chunk(tokens: int) -> generation_pb2.GenerateResponse:
    return generation_pb2.GenerateResponse(chunk=generation_pb2.GenerateChunk(token_ids=range(tokens)))


def complete(tokens: int) -> generation_pb2.GenerateResponse:
    usage = generation_pb2.Usage(prompt_tokens=300, completion_tokens=tokens)
    kv = generation_pb2.KvReport(policy="window", prompt_tokens=300, kept_tokens=100, freed_tokens=200)
    reason = generation_pb2.FINISH_REASON_STOP
    answer = generation_pb2.GenerateComplete(usage=usage, kv=kv, finish_reason=reason)
    return generation_pb2.GenerateResponse(complete=answer)


def answered(requests: Requests, placed: Placed = PLACED, tenant: str = "acme") -> RequestRecord:
    """A request that took its way."""
    record = requests.start({}, HTTP)
    record.request_id, record.tenant, record.model, record.placed = "mine", tenant, "tiny", placed
    record.tokenized(0.25)
    record.queued(0.5)
    record.attempt("host:1").end("OK")
    for response in (chunk(1), chunk(4), complete(5)):
        record.received(response)
    record.finish("OK")
    return record


def refused(requests: Requests, error: ServiceError, tenant: str = "acme") -> RequestRecord:
    record = requests.start({})
    record.tenant = tenant
    record.refused(error)
    record.finish("RESOURCE_EXHAUSTED")
    return record


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return RequestMetrics(registry, 2)


@pytest.fixture
def counted(metrics):
    return Requests((metrics,), NoOpTracer())


@pytest.fixture
def value(registry):
    def read(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"lookaheadkv_{name}", labels)

    return read


def test_an_answer_counts_for_its_tenant(counted, value):
    answered(counted)
    assert value("router_requests_total", tenant="acme", status="OK") == 1
    names = ("prompt_tokens", "completion_tokens", "kv_tokens_retained", "kv_tokens_evicted")
    assert [value(f"router_{name}_total", tenant="acme") for name in names] == [300, 5, 100, 200]
    for name in ("request", "ttft", "tpot", "queue_wait"):
        assert value(f"router_{name}_seconds_count", tenant="acme") == 1
    assert value("router_queue_wait_seconds_sum", tenant="acme") == 0.5
    assert value("budget_rule_total", rule="load") == value("budget_tokens_count") == 1
    assert value("budget_tokens_sum") == 100
    assert value("router_tokenizing_seconds_sum") == 0.25
    assert value("router_own_seconds_count") == 1
    assert value("router_retries_total") == 0


def test_a_second_try_is_a_retry_and_own_time_ends_with_the_first(counted, value):
    record = counted.start({})
    record.attempt("host:1").end("UNAVAILABLE")
    own = record.own_seconds
    record.attempt("host:2").end("OK")
    record.finish("OK")
    assert (record.attempts, record.target, record.own_seconds) == (2, "host:2", own)
    assert value("router_retries_total") == 1


def test_only_the_first_end_counts(counted, value):
    answered(counted).finish("CANCELLED")
    assert value("router_requests_total", tenant="acme", status="OK") == 1
    assert value("router_requests_total", tenant="acme", status="CANCELLED") is None


@pytest.mark.parametrize(("tpot", "met"), [(1e-9, "no"), (60.0, "yes")])
def test_an_slo_is_met_or_not(counted, value, tpot, met):
    answered(counted, replace(PLACED, asked=replace(PLACED.asked, slo=Slo(60.0, tpot))))
    assert value("slo_requests_total", tenant="acme", slo="ttft", met="yes") == 1
    assert value("slo_requests_total", tenant="acme", slo="tpot", met=met) == 1


def test_rejections_count_by_reason_and_not_once_a_runtime_had_the_request(counted, value):
    refused(counted, Unavailable("nobody is there"))
    record = counted.start({})
    record.attempt("host:1")
    record.refused(Unavailable("it went away"))
    record.finish("UNAVAILABLE")
    assert value("rejections_total", tenant="acme", reason="unavailable") == 1
    assert record.rejection == ""
    # it never waited, so there is no wait of zero
    assert value("router_queue_wait_seconds_count", tenant="acme") == 0


def no_budget() -> ResourceExhausted:
    error = ResourceExhausted("too slow")
    error.__cause__ = NoBudget("too slow")
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (no_budget(), "slo"),
        (ResourceExhausted("too many"), "resource_exhausted"),
        (FailedPrecondition("broken", "POLICY_DAMAGED"), "policy_damaged"),
        (InvalidArgument(Violation("text", "is empty")), "invalid_argument"),
    ],
)
def test_a_rejection_has_the_reason_of_its_error(error, reason):
    assert rejection_of(error) == reason


def test_requests_in_flight_hold_kv_from_their_forwarding_to_their_end(counted, metrics):
    def held() -> dict[str, dict[str, float]]:
        return {
            metric.name.removeprefix("lookaheadkv_router_"): {
                sample.labels["tenant"]: sample.value for sample in metric.samples
            }
            for metric in metrics.in_flight()
        }

    records = [counted.start({}) for _ in range(3)]
    for record in records[:2]:
        record.tenant, record.placed = "acme", PLACED
    counted_before = held()
    records[0].attempt("host:1")
    assert counted_before["resident_kv_tokens"] == {"_other": 0, "_unknown": 0}
    assert held() == {
        "requests_in_flight": {"_other": 2, "_unknown": 1},
        "resident_kv_tokens": {"_other": 120, "_unknown": 0},
    }
    for record in records:
        record.finish("CANCELLED")
    assert held() == {"requests_in_flight": {}, "resident_kv_tokens": {}}


def test_tenants_that_come_and_go_leave_no_more_series_than_allowed(counted, registry):
    for number in range(200):
        answered(counted, tenant=f"tenant-{number}")
        refused(counted, Unavailable("away"), tenant=f"other-{number}")
    labels = {
        sample.labels["tenant"]
        for metric in registry.collect()
        for sample in metric.samples
        if "tenant" in sample.labels
    }
    assert labels == {"tenant-0", "other-0", "_other"}


def test_the_log_line_has_the_decision_and_nothing_of_the_prompt():
    with capture_logs() as lines:
        answered(Requests((RequestLog(),), NoOpTracer()))
    (line,) = lines
    times = {name for name in line if name.endswith("_seconds") or name == "seconds"}
    assert {name: line[name] for name in line.keys() - times} == {
        "event": "request",
        "log_level": "info",
        "request_id": "mine",
        "tenant": "acme",
        "protocol": "http",
        "model": "tiny",
        "prompt_tokens": 0,
        "decision": {
            "rule": "load",
            "requested_tokens": 128,
            "granted_tokens": 100,
            "min_retained_mass": None,
            "reasons": ("full",),
            "policy_generation": 7,
        },
        "target": "host:1",
        "attempts": 1,
        "status": "OK",
        "completion_tokens": 5,
        "policy": "window",
        "kept_tokens": 100,
        "freed_tokens": 200,
    }
    assert times == {"tokenizing_seconds", "queue_seconds", "own_seconds", "seconds", "ttft_seconds"}


def test_stages_are_spans_within_the_request_s_where_they_took_place():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    began = time.time_ns()
    answered(Requests((RequestSpans(),), provider.get_tracer("test")))
    spans: dict[str, Any] = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"tokenize", "queue", "generate", "text_completion tiny"}
    seconds = {name: (span.end_time - span.start_time) / 1e9 for name, span in spans.items()}
    assert seconds["tokenize"] == pytest.approx(0.25, abs=1e-6)
    assert seconds["queue"] == pytest.approx(0.5, abs=1e-6)
    assert began <= spans["queue"].end_time <= time.time_ns()
    parent = spans["text_completion tiny"].context.span_id
    assert {spans[name].parent.span_id for name in ("tokenize", "queue", "generate")} == {parent}
