"""A budget by mass: the engine keeps as few tokens as the offline reference finds by trying every budget."""

import pytest

from tests.engine.client import assert_same, generate, generate_together, request
from tests.engine.reference import Eviction

NEW_TOKENS = 12
FLOOR = 64
# those without a mass share their batch
PLANS = (
    Eviction("window", 0, mass=0.88),
    Eviction("lookahead", 200, mass=0.85),
    Eviction("window", 64),
    Eviction("fused", 0, mass=0.86),
    Eviction("fused", 90, mass=0.95),
    None,
)


@pytest.fixture(scope="module")
def prompts(text_ids):
    return [text_ids[210 * number + 37 : 210 * number + 267 + 10 * number] for number in range(len(PLANS))]


def test_batch_with_and_without_a_mass_keeps_the_sets_and_gives_the_tokens_of_the_reference(
    runtime, reference, prompts
):
    answers = generate_together(
        runtime, [request(ids, NEW_TOKENS, plan) for ids, plan in zip(prompts, PLANS, strict=True)]
    )
    for answer, ids, plan in zip(answers, prompts, PLANS, strict=True):
        assert_same(answer, reference.generate(ids, NEW_TOKENS, plan))


@pytest.mark.parametrize("policy", ["window", "lookahead", "fused"])
def test_mass_keeps_what_the_reference_keeps_and_the_report_says_so(runtime, reference, text_ids, policy):
    # one prompt in three chunks, and a prefix hit for all but the first; on this text no two scores are nearly equal
    prompt, plan = text_ids[1255:1955], Eviction(policy, 512, mass=0.9)
    (kept,) = reference.kept_sets(prompt, [plan])
    answer = generate(runtime, prompt, 2, plan)
    assert FLOOR < kept.shape[-1] < plan.budget
    assert_same(answer, (answer.tokens, kept))
    kv = answer.complete.kv
    assert (kv.kept_tokens, kv.budget_tokens, kv.freed_tokens) == (kept.shape[-1], 512, 700 - kept.shape[-1])
    assert kv.free_slots_after - kv.free_slots_before == kv.freed_tokens
    assert plan.mass and kv.retained_mass >= plan.mass
    assert kv.reasons[0].startswith("retained mass 0.9")
    assert kv.reasons[0].endswith(f"reached 0.9 with {kv.kept_tokens} tokens, below the cap of 512")


def test_cap_that_holds_too_little_wins_and_keeps_what_it_would_without_a_mass(runtime, text_ids):
    prompt = text_ids[400:800]
    capped, plain = (generate(runtime, prompt, NEW_TOKENS, Eviction("window", 80, mass=mass)) for mass in (0.99, None))
    assert_same(capped, (plain.tokens, plain.kept))
    kv = capped.complete.kv
    assert kv.reasons[0].startswith("the cap of 80 tokens holds 0.")
    assert kv.reasons[0].endswith("of the mass, below the 0.99 asked for")
    assert kv.retained_mass == pytest.approx(plain.complete.kv.retained_mass, abs=1e-6)


def test_prompt_whose_mass_only_the_whole_of_it_holds_stays_whole(runtime, reference, text_ids):
    prompt = text_ids[900:1200]
    answer = generate(runtime, prompt, NEW_TOKENS, Eviction("window", 0, mass=1.0))
    assert_same(answer, reference.generate(prompt, NEW_TOKENS))
    kv = answer.complete.kv
    assert (kv.policy, kv.kept_tokens, kv.freed_tokens, kv.budget_tokens) == ("full", 300, 0, 0)
    assert kv.reasons[0].startswith("236 tokens hold 0.9")
