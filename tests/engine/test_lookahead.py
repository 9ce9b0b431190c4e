"""Policies with an adapter: in the engine they keep exactly what the offline pass, which trains adapters, keeps."""

import pytest

from protos.runtime.v1 import runtime_pb2
from tests.engine.client import assert_same, generate, generate_together, keeps, request
from tests.engine.reference import Eviction

NEW_TOKENS = 12
PROMPTS = 20
PLANS = (
    Eviction("lookahead", 64),
    Eviction("fused", 72),
    Eviction("window", 64),
    Eviction("lookahead", 75, sinks=0, recent=16),
    Eviction("fused", 64, sinks=8, recent=8),
)
ADAPTED = (Eviction("lookahead", 70), Eviction("fused", 70))


@pytest.fixture(scope="module")
def prompts(text_ids):
    return [text_ids[150 * number : 150 * number + 140 + 6 * number] for number in range(PROMPTS)]


@pytest.mark.parametrize("first", [0, 10])
def test_batch_of_policies_keeps_the_sets_and_gives_the_tokens_of_the_offline_reference(
    runtime, reference, prompts, first
):
    chosen = prompts[first : first + len(PLANS)]
    answers = generate_together(
        runtime, [request(ids, NEW_TOKENS, plan) for ids, plan in zip(chosen, PLANS, strict=True)]
    )
    for answer, ids, plan in zip(answers, chosen, PLANS, strict=True):
        assert answer.complete.kv.policy == plan.policy
        assert_same(answer, reference.generate(ids, NEW_TOKENS, plan))


def test_each_of_twenty_prompts_alone_keeps_the_sets_of_the_offline_reference(runtime, reference, prompts):
    for ids in prompts:
        for eviction, kept in zip(ADAPTED, reference.kept_sets(ids, ADAPTED), strict=True):
            assert keeps(generate(runtime, ids, 1, eviction), kept)


@pytest.mark.parametrize("eviction", ADAPTED, ids=lambda e: e.policy)
def test_chunks_and_a_prefix_hit_change_nothing(runtime, reference, text_ids, eviction):
    start = 1000 if eviction.policy == "fused" else 2000
    prompt = text_ids[start + 5 : start + 705]  # three chunks of prefill
    expected = reference.generate(prompt, NEW_TOKENS, eviction)
    for cached_tokens in (0, len(prompt) - 1):
        answer = generate(runtime, prompt, NEW_TOKENS, eviction)
        assert answer.complete.usage.cached_tokens == cached_tokens
        assert_same(answer, expected)


def test_comparison_would_see_missing_lora(runtime, reference, prompts):
    answer = generate(runtime, prompts[0], 1, ADAPTED[0])
    (kept,) = reference.without_lora().kept_sets(prompts[0], ADAPTED[:1])
    assert not keeps(answer, kept)


def test_report_names_the_adapter_only_when_it_scored(runtime, text_ids):
    adapter = runtime.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest()).adapter
    prompt = text_ids[100:400]
    for policy, named in (("lookahead", True), ("fused", True), ("window", False)):
        kv = generate(runtime, prompt, 2, Eviction(policy, 64)).complete.kv
        assert (kv.adapter, kv.adapter_version) == ((adapter.name, adapter.version) if named else ("", 0))
        assert 0 < kv.retained_mass < 1
        assert kv.scoring_time.ToNanoseconds() > 0


def test_model_info_names_the_adapter_and_every_policy(runtime):
    info = runtime.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
    assert {"lookahead", "fused"} < set(info.policies)
    assert info.adapter.name and info.adapter.version and len(info.adapter.sha256) == 64
    assert not info.kernels_off
