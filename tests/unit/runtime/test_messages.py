"""The KV report says what really happened."""

from typing import Any

import pytest

from protos.generation.v1 import generation_pb2
from services.runtime.backends.base import EngineOutput, Finish
from services.runtime.eviction import Decision, EvictionPlan, EvictionReport, ScoringDefaults
from services.runtime.messages import join, to_complete, to_kv_report

PLAN = EvictionPlan("window", {}, 100, 4, 32)
DEFAULTS = ScoringDefaults(version="v1", source="last_known")


def finish(eviction: EvictionReport | None = None, reason: Any = "length") -> Finish:
    return Finish(reason, "", 7, 3, 1, queue_seconds=0.5, prefill_seconds=0.25, eviction=eviction)


def report(
    plan: EvictionPlan | None = PLAN, reasons: tuple[str, ...] = ("asked",), **finished: Any
) -> generation_pb2.KvReport:
    return to_kv_report(300, Decision(plan, 100, reasons), DEFAULTS, finish(**finished), ttft_seconds=1.5)


def test_evicted_prompt():
    kv = report(eviction=EvictionReport(100, 10, 210, 0.75, scoring_seconds=0.1, compaction_seconds=0.2))
    assert (kv.policy, kv.prompt_tokens, kv.kept_tokens, kv.freed_tokens) == ("window", 300, 100, 200)
    assert (kv.budget_tokens, kv.retained_mass, kv.retractions) == (100, 0.75, 1)
    assert (kv.free_slots_before, kv.free_slots_after) == (10, 210)
    assert (kv.config_source, kv.config_version) == ("last_known", "v1")
    times = (kv.queue_time, kv.prefill_time, kv.scoring_time, kv.compaction_time, kv.ttft)
    assert [time.ToTimedelta().total_seconds() for time in times] == [0.5, 0.25, 0.1, 0.2, 1.5]


@pytest.mark.parametrize("adapter", [("smol", 3), ("", 0)])
def test_adapter_that_scored_is_named(adapter):
    kv = report(eviction=EvictionReport(100, adapter=adapter[0], adapter_version=adapter[1]))
    assert (kv.adapter, kv.adapter_version) == adapter


def test_policy_that_observes_no_mass_reports_none():
    assert not report(eviction=EvictionReport(100)).HasField("retained_mass")


def test_without_a_plan_everything_is_kept():
    kv = report(plan=None)
    assert (kv.policy, kv.kept_tokens, kv.freed_tokens, list(kv.reasons)) == ("full", 300, 0, ["asked"])


def test_skipped_eviction_is_full_and_says_why_first():
    kv = report(eviction=EvictionReport(300, skipped="no room to compact"))
    assert (kv.policy, kv.kept_tokens, kv.freed_tokens) == ("full", 300, 0)
    assert list(kv.reasons) == ["no room to compact", "asked"]


def test_what_the_mass_or_the_cap_decided_is_said_first():
    kv = report(eviction=EvictionReport(80, choice="the mass won", replaced="window in place of fused"))
    assert list(kv.reasons) == ["the mass won", "window in place of fused", "asked"]
    assert (kv.kept_tokens, kv.budget_tokens) == (80, 100)


def test_request_that_ended_before_its_eviction_is_full_and_says_so():
    kv = report(reason="abort")
    assert (kv.policy, kv.kept_tokens) == ("full", 300)
    assert kv.reasons[0] == "the engine ended the request (abort) before it evicted anything"


def test_reasons_are_never_empty():
    assert report(reasons=(), eviction=EvictionReport(100)).reasons == ["the router gave no reason"]


@pytest.mark.parametrize("reason", ["stop", "length", "abort"])
def test_every_finish_reason_has_its_name_on_the_wire(reason):
    complete = to_complete("id", finish(reason=reason), report(plan=None)).complete
    assert generation_pb2.FinishReason.Name(complete.finish_reason) == f"FINISH_REASON_{reason.upper()}"
    assert (complete.request_id, complete.usage.completion_tokens, complete.usage.cached_tokens) == ("id", 7, 3)


def test_joined_outputs_are_in_order_and_carry_the_finish():
    end = finish()
    assert join(EngineOutput("a", (1,)), EngineOutput("b", (2, 3), end)) == EngineOutput("ab", (1, 2, 3), end)
