"""The engine's kept sets and greedy tokens are those of a transformers reference that gathers the same K/V."""

import pytest

from tests.engine.client import assert_same, generate, generate_together, request
from tests.engine.reference import Eviction

NEW_TOKENS = 32
PROMPT_TOKENS = 700  # three chunks of prefill
WINDOW = Eviction("window", 128)
STREAMING = Eviction("streaming", 96)


@pytest.fixture(scope="module")
def prompt(text_ids):
    # on this text a shifted position or a swapped head changes the tokens; on a more repetitive one neither does
    return text_ids[300 : 300 + PROMPT_TOKENS]


def test_full_cache_gives_the_tokens_of_the_reference(runtime, reference, prompt):
    answer = generate(runtime, prompt, NEW_TOKENS)
    assert_same(answer, reference.generate(prompt, NEW_TOKENS))
    assert answer.complete.kv.policy == "full"


@pytest.mark.parametrize(
    "eviction", [WINDOW, STREAMING, Eviction("window", 64, sinks=0)], ids=lambda e: f"{e.policy}-{e.budget}"
)
def test_evicted_cache_gives_the_kept_sets_and_tokens_of_the_reference(runtime, reference, text_ids, eviction):
    prompt = text_ids[eviction.budget : eviction.budget + PROMPT_TOKENS]  # no prefix of another test's
    answer = generate(runtime, prompt, NEW_TOKENS, eviction)
    assert answer.complete.usage.cached_tokens == 0
    assert_same(answer, reference.generate(prompt, NEW_TOKENS, eviction))


@pytest.mark.parametrize("eviction", [WINDOW, STREAMING], ids=lambda e: e.policy)
def test_prefix_hit_changes_nothing(runtime, reference, prompt, eviction):
    generate(runtime, prompt, 1)
    answer = generate(runtime, prompt, NEW_TOKENS, eviction)
    assert answer.complete.usage.cached_tokens == PROMPT_TOKENS - 1
    assert_same(answer, reference.generate(prompt, NEW_TOKENS, eviction))


def test_requests_with_and_without_eviction_share_a_batch(runtime, reference, text_ids):
    plans = (None, WINDOW, STREAMING, Eviction("window", 160, recent=16))
    prompts = [text_ids[start : start + 260] for start in (3000, 2000, 2300, 2600)]
    answers = generate_together(
        runtime, [request(ids, NEW_TOKENS, plan) for ids, plan in zip(prompts, plans, strict=True)]
    )
    for answer, ids, plan in zip(answers, prompts, plans, strict=True):
        assert_same(answer, reference.generate(ids, NEW_TOKENS, plan))


def test_same_prompt_with_different_budgets_at_once(runtime, reference, prompt):
    plans = (WINDOW, Eviction("window", 64), STREAMING, None)
    answers = generate_together(runtime, [request(prompt, NEW_TOKENS, plan) for plan in plans])
    for answer, plan in zip(answers, plans, strict=True):
        assert_same(answer, reference.generate(prompt, NEW_TOKENS, plan))


def test_requests_that_finish_prefill_in_one_step_are_scored_in_one_pass(runtime, text_ids):
    prompts = [text_ids[start : start + 200] for start in (1000, 1400, 1800, 2200)]
    for ids in prompts:
        generate(runtime, ids, 1)
    # a hit on the whole prompt leaves one token to prefill, so all fit into one step
    answers = generate_together(runtime, [request(ids, 4, Eviction("window", 64)) for ids in prompts])
    passes = {answer.complete.kv.scoring_time.ToNanoseconds() for answer in answers}
    # the time is that of the shared pass; the first request may have had a step of its own
    assert len(passes) < len(prompts)


def test_comparison_would_see_positions_shifted_by_one(runtime, reference, prompt):
    answer = generate(runtime, prompt, NEW_TOKENS, WINDOW)
    shifted, _ = reference.generate(prompt, NEW_TOKENS, WINDOW, position_shift=1)
    assert answer.tokens != shifted


def test_comparison_would_see_swapped_heads(runtime, reference, prompt):
    answer = generate(runtime, prompt, NEW_TOKENS, WINDOW)
    swapped, _ = reference.generate(prompt, NEW_TOKENS, WINDOW, swap_heads=True)
    assert answer.tokens != swapped


def test_report_counts_what_the_allocator_counted(runtime, text_ids):
    kv = generate(runtime, text_ids[100:800], 4, WINDOW).complete.kv
    assert (kv.prompt_tokens, kv.kept_tokens, kv.freed_tokens) == (700, 128, 572)
    assert kv.free_slots_after - kv.free_slots_before == 572
    assert 0 < kv.retained_mass < 1
    assert kv.scoring_time.ToNanoseconds() > 0
    assert kv.compaction_time.ToNanoseconds() > 0
    assert kv.prefill_time.ToNanoseconds() > 0
