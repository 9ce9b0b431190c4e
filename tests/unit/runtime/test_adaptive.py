"""What an adaptive budget may be, which one is taken, and what the report says of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.adaptive import Choice, choose_budget, possible_budgets
from services.runtime.eviction import EvictionPlan

FIXED = EvictionPlan("window", {}, 512, sink_tokens=4, recent_tokens=32)
PLAN = replace(FIXED, min_retained_mass=0.95, floor_tokens=64, min_evicted_tokens=64)
BUDGETS = (64, 128, 512)


def test_without_a_mass_the_budget_in_whole_pages_is_the_only_one():
    assert possible_budgets(FIXED, 1000) == (512,)
    assert possible_budgets(replace(FIXED, budget_tokens=500), 1000, 16) == (512,)


@pytest.mark.parametrize("plan", [FIXED, replace(PLAN, budget_tokens=64)], ids=["fixed", "adaptive"])
def test_prompt_that_whole_pages_leave_nothing_of_has_no_budget(plan):
    assert possible_budgets(plan, plan.budget_tokens + 15, 16) == ()


def test_budgets_go_from_the_floor_to_the_cap():
    budgets = possible_budgets(PLAN, 1000)
    assert (budgets[0], budgets[-1]) == (64, 512)


@pytest.mark.parametrize("cap", [937, 1000, 5000])
def test_cap_that_evicts_too_little_leaves_budgets_that_evict_enough(cap):
    assert possible_budgets(replace(PLAN, budget_tokens=cap), 1000)[-1] == 936
    assert possible_budgets(replace(PLAN, budget_tokens=cap), 1000, 16)[-1] == 928


@given(
    st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 200), st.integers(0, 100), st.sampled_from([1, 16, 64])
)
def test_every_budget_holds_the_floor_and_leaves_a_page_to_evict(prompt_tokens, cap, floor, least_evicted, page):
    plan = replace(PLAN, budget_tokens=max(cap, floor), floor_tokens=floor, min_evicted_tokens=least_evicted)
    for budget in possible_budgets(plan, prompt_tokens, page):
        assert max(floor, 36) <= budget <= prompt_tokens - page
        assert budget % page == 0
        assert budget - page < plan.budget_tokens


@pytest.mark.parametrize(
    ("masses", "plan", "choice"),
    [
        (
            (0.9, 0.9512, 1.0),
            PLAN,
            Choice(128, 0.9512, "retained mass 0.951 reached 0.95 with 128 tokens, below the cap of 512"),
        ),
        ((0.5, 0.9, 0.95), PLAN, Choice(512, 0.95, "retained mass 0.950 reached 0.95 with 512 tokens, the cap")),
        (
            (0.5, 0.8, 0.9499),
            PLAN,
            Choice(512, 0.9499, "the cap of 512 tokens holds 0.949 of the mass, below the 0.95 asked for"),
        ),
        (
            (0.5, 0.96, 1.0),
            replace(PLAN, budget_tokens=9000),
            Choice(128, 0.96, "retained mass 0.960 reached 0.95 with 128 tokens, below the cap of 700"),
        ),
        (
            (0.5, 0.8, 0.9),
            replace(PLAN, budget_tokens=700),
            Choice(
                None,
                0.9,
                "512 tokens hold 0.900 of the mass, below the 0.95 asked for, so the prompt of 700 tokens is kept "
                "whole",
            ),
        ),
    ],
)
def test_smallest_budget_that_holds_the_mass_wins_else_the_cap_and_a_sentence_says_which(masses, plan, choice):
    assert choose_budget(plan, 700, BUDGETS, masses) == choice


def test_all_of_the_mass_is_reached_only_by_all_of_it():
    plan = replace(PLAN, min_retained_mass=1.0)
    assert choose_budget(plan, 700, BUDGETS, (0.5, 1.0, 1.0)).tokens == 128
    assert choose_budget(plan, 700, BUDGETS, (0.5, 0.9, 1 - 1e-9)).why == (
        "the cap of 512 tokens holds 0.999 of the mass, below the 1 asked for"
    )


def test_mass_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        choose_budget(PLAN, 700, BUDGETS, (0.5, float("nan"), 1.0))
