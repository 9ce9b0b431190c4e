from dataclasses import replace

import pytest

from protos.generation.v1 import generation_pb2
from scorer.adapters.store_values import AdapterId, VersionId
from services.demo.client import Answer
from services.demo.prompt import EXPECTED
from services.demo.results import Plan, Row, failures, to_report, to_row

WINDOW = Row(
    policy="window",
    prompt_tokens=3000,
    kept_tokens=512,
    free_slots_before=1000,
    free_slots_after=3488,
    freed_slots=2488,
    served_policy="window",
    adapter="",
    adapter_alias="",
    registry_version="",
    scoring_ms=12.0,
    ttft_ms=900.0,
    decode_tokens_per_s=15.0,
    cached_tokens=0,
    answer=f"It is {EXPECTED}.",
)
REGISTERED = VersionId(AdapterId("tiny", "mine"), 3)
FUSED = replace(
    WINDOW,
    policy="fused",
    served_policy="fused",
    adapter="mine 3",
    adapter_alias="default",
    registry_version="models/tiny/adapters/mine/versions/3",
)
FULL = replace(
    WINDOW,
    policy="full",
    served_policy="full",
    kept_tokens=3000,
    free_slots_before=0,
    free_slots_after=0,
    freed_slots=0,
)


@pytest.mark.parametrize("row", [WINDOW, FULL, FUSED], ids=lambda row: row.policy)
def test_a_right_answer_with_freed_slots_has_no_failure(row):
    assert failures(row) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"answer": "It is Nobody."}, "does not contain"),
        ({"kept_tokens": 600, "freed_slots": 2400}, "kept 600 of 3000 tokens, 20% or more"),
        ({"served_policy": "streaming"}, "streaming was served instead"),
        ({"freed_slots": 2487}, "2487 more free slots instead of 2488"),
    ],
)
def test_a_claim_that_does_not_hold_is_a_sentence_with_the_policy(changes, sentence):
    (found,) = failures(replace(WINDOW, **changes))
    assert found.startswith("window: ")
    assert sentence in found


@pytest.mark.parametrize("adapter", ["mine 3", ""])
def test_a_policy_that_needs_an_adapter_must_be_scored_by_the_one_of_the_registry(adapter):
    (found,) = failures(replace(FUSED, adapter=adapter, registry_version=""))
    assert found == f"fused: {adapter or 'no adapter'} scored, not the version in the registry"


def test_full_may_keep_everything_but_must_answer():
    assert len(failures(replace(FULL, answer=""))) == 1


def test_a_row_takes_the_counts_of_the_report_and_the_times_of_the_client():
    kv = generation_pb2.KvReport(
        policy="fused", prompt_tokens=100, kept_tokens=10, free_slots_before=5, free_slots_after=95
    )
    kv.adapter, kv.adapter_version, kv.adapter_alias = "mine", 3, "default"
    kv.scoring_time.FromMilliseconds(7)
    usage = generation_pb2.Usage(cached_tokens=3)
    complete = generation_pb2.GenerateComplete(kv=kv, usage=usage)
    row = to_row("fused", Answer([1, 2], 0.25, 8.123, complete), "text", None)
    assert row == Row("fused", 100, 10, 5, 95, 90, "fused", "mine 3", "default", "", 7.0, 250.0, 8.12, 3, "text")


@pytest.mark.parametrize(
    ("scored", "name"),
    [
        (("mine", 3, "default"), FUSED.registry_version),
        (("mine", 3, "canary"), ""),
        (("mine", 2, "default"), ""),
        (("other", 3, "default"), ""),
        (("", 0, ""), ""),
    ],
)
def test_a_row_names_the_version_of_the_registry_only_when_that_is_what_scored(scored, name):
    adapter, version, alias = scored
    kv = generation_pb2.KvReport(policy="fused", adapter=adapter, adapter_version=version, adapter_alias=alias)
    answer = Answer([1], 0.25, 8.0, generation_pb2.GenerateComplete(kv=kv))
    assert to_row("fused", answer, "text", REGISTERED).registry_version == name


def test_the_report_names_the_budget_and_has_a_row_for_each_policy():
    report = to_report([FULL, WINDOW], "tiny", Plan(("full", "window"), 512, 64))
    assert [row["policy"] for row in report.rows] == ["full", "window"]
    assert report.settings["budget_tokens"] == 512
