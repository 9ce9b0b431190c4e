"""From what was asked to what is kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.eviction import EvictionPlan, ScoringDefaults, decide
from services.shared.generation import Directive, GenerateCall, Hint

DEFAULTS = ScoringDefaults(sink_tokens=4, recent_tokens=32, min_budget_tokens=64, min_evicted_tokens=64)


def call(hint: Hint | None = None, directive: Directive | None = None) -> GenerateCall:
    return GenerateCall(text="x", kv=hint or Hint(), directive=directive)


def test_without_a_budget_the_prompt_is_kept_whole():
    decision = decide(call(), 1000, DEFAULTS)
    assert (decision.plan, decision.asked_tokens) == (None, 0)
    assert decision.reasons == ("no budget was given, so the whole prompt is kept",)


def test_hint_in_tokens_becomes_a_plan_with_the_default_policy():
    defaults = ScoringDefaults(policy_params={"window": {"pool_width": 7}})
    decision = decide(call(Hint(budget_tokens=200)), 1000, defaults)
    assert decision.plan == EvictionPlan("window", {"pool_width": 7}, 200, sink_tokens=4, recent_tokens=32)
    assert decision.asked_tokens == 200


def test_hint_as_a_ratio_is_a_share_of_the_prompt():
    decision = decide(call(Hint(keep_ratio=0.25, policy="streaming")), 1000, DEFAULTS)
    assert decision.plan == EvictionPlan("streaming", {}, 250, sink_tokens=4, recent_tokens=32)
    assert decision.reasons == ("the request asked for a ratio of 0.25: 250 tokens",)


def test_directive_of_the_router_wins_over_the_hint():
    directive = Directive(policy="streaming", budget_tokens=300, sink_tokens=0, recent_tokens=8, reasons=("tenant",))
    decision = decide(call(Hint(budget_tokens=200), directive), 1000, DEFAULTS)
    assert decision.plan == EvictionPlan("streaming", {}, 300, sink_tokens=0, recent_tokens=8)
    assert decision.reasons == ("tenant",)


def test_directive_without_a_budget_keeps_the_prompt_whole_whatever_the_hint_says():
    assert decide(call(Hint(budget_tokens=200), Directive()), 1000, DEFAULTS).plan is None


def test_policy_full_keeps_the_prompt_whole():
    decision = decide(call(Hint(policy="full", budget_tokens=200)), 1000, DEFAULTS)
    assert (decision.plan, decision.asked_tokens) == (None, 200)
    assert "policy full keeps the whole prompt" in decision.reasons


@pytest.mark.parametrize("policy", ["lookahead", "fused"])
def test_policy_that_cannot_look_becomes_window_with_its_parameters_and_says_so_first(policy):
    defaults = ScoringDefaults(policy=policy, policy_params={"window": {"pool_width": 7}})
    decision = decide(call(Hint(budget_tokens=200)), 1000, defaults, "there is no adapter")
    assert decision.plan == EvictionPlan("window", {"pool_width": 7}, 200, sink_tokens=4, recent_tokens=32)
    assert decision.reasons[0] == f"window in place of {policy}, for there is no adapter"


@pytest.mark.parametrize("policy", ["streaming", "window", "full"])
def test_policy_without_lookahead_rows_needs_no_adapter(policy):
    asked = call(Hint(budget_tokens=200, policy=policy))
    assert decide(asked, 1000, DEFAULTS, "there is no adapter") == decide(asked, 1000, DEFAULTS)


def test_policy_with_lookahead_rows_stays_when_they_can_look():
    plan = decide(call(Hint(budget_tokens=200, policy="lookahead")), 1000, DEFAULTS).plan
    assert plan and plan.policy == "lookahead"


def test_small_budget_is_raised_to_the_floor():
    decision = decide(call(Hint(budget_tokens=10)), 1000, DEFAULTS)
    assert decision.plan and (decision.plan.budget_tokens, decision.asked_tokens) == (64, 10)
    assert decision.reasons[0] == "raised from 10 to the floor of 64 tokens"


def test_floor_holds_the_sinks_and_the_recent_tokens():
    directive = Directive(budget_tokens=10, sink_tokens=50, recent_tokens=100)
    plan = decide(call(directive=directive), 1000, DEFAULTS).plan
    assert plan and plan.budget_tokens == 150


@pytest.mark.parametrize(("prompt_tokens", "evicts"), [(263, False), (264, True)])
def test_prompt_barely_above_its_budget_is_kept_whole(prompt_tokens, evicts):
    decision = decide(call(Hint(budget_tokens=200)), prompt_tokens, DEFAULTS)
    assert (decision.plan is not None) is evicts
    assert ("so it is kept whole" in decision.reasons[0]) is not evicts


def test_mass_beside_a_budget_makes_the_budget_a_cap():
    decision = decide(call(Hint(budget_tokens=200, min_retained_mass=0.9)), 1000, DEFAULTS)
    assert decision.plan == EvictionPlan(
        "window", {}, 200, 4, 32, min_retained_mass=0.9, floor_tokens=64, min_evicted_tokens=64
    )
    assert decision.asked_tokens == 200
    assert decision.reasons == ("the request asked for 200 tokens", "the request asked for 0.9 of the mass")


@pytest.mark.parametrize("asked", [call(Hint(min_retained_mass=0.9)), call(directive=Directive(min_retained_mass=0.9))])
def test_mass_without_a_budget_is_capped_by_the_prompt(asked):
    decision = decide(asked, 1000, DEFAULTS)
    assert decision.plan
    assert (decision.plan.budget_tokens, decision.plan.min_retained_mass, decision.asked_tokens) == (1000, 0.9, 0)


def test_mass_of_the_hint_is_not_that_of_a_directive():
    plan = decide(call(Hint(min_retained_mass=0.9), Directive(budget_tokens=300)), 1000, DEFAULTS).plan
    assert plan and plan.min_retained_mass is None


@pytest.mark.parametrize(("prompt_tokens", "evicts"), [(127, False), (128, True)])
def test_mass_may_keep_less_than_a_cap_that_a_prompt_barely_exceeds_but_not_less_than_the_floor(prompt_tokens, evicts):
    decision = decide(call(Hint(budget_tokens=120, min_retained_mass=0.9)), prompt_tokens, DEFAULTS)
    assert (decision.plan is not None) is evicts
    assert (decision.reasons[0].startswith("a prompt of 127 tokens exceeds 64 by less than 64")) is not evicts


def test_policy_that_looks_at_nothing_leaves_the_mass_out_and_says_so_first():
    decision = decide(call(Hint(policy="streaming", budget_tokens=200, min_retained_mass=0.9)), 1000, DEFAULTS)
    assert decision.plan == EvictionPlan("streaming", {}, 200, 4, 32)
    assert decision.reasons[0] == "min_retained_mass has no say, for streaming looks at nothing and predicts no mass"


def test_policy_that_looks_at_nothing_keeps_the_prompt_whole_without_a_budget():
    decision = decide(call(Hint(policy="streaming", min_retained_mass=0.9)), 1000, DEFAULTS)
    assert decision.plan is None
    assert "no budget was given" in decision.reasons[-1]


def test_mass_stays_when_window_takes_the_place_of_a_policy_that_cannot_look():
    asked = call(Hint(policy="fused", min_retained_mass=0.9))
    plan = decide(asked, 1000, DEFAULTS, "there is no adapter").plan
    assert plan and (plan.policy, plan.min_retained_mass) == ("window", 0.9)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 500), st.integers(0, 500))
def test_plan_always_evicts_something_and_never_the_protected_tokens(prompt_tokens, budget, sinks, recent):
    directive = Directive(budget_tokens=budget, sink_tokens=sinks, recent_tokens=recent, reasons=("rule",))
    decision = decide(call(directive=directive), prompt_tokens, DEFAULTS)
    assert decision.reasons
    if decision.plan:
        assert max(budget, sinks + recent) <= decision.plan.budget_tokens < prompt_tokens


def test_plan_survives_the_way_through_json():
    plan = EvictionPlan("window", {"pool_width": 7}, 100, 4, 32, trace_path="t", min_retained_mass=0.95)
    assert EvictionPlan.from_params(json.loads(json.dumps(plan.to_params()))) == plan
