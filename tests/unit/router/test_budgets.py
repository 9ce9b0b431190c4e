"""Properties that every budget rule keeps, found through the registry, and how rules combine."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.budgets import FLOOR, NO_RULE, RULES, kv_budget, load_rules
from router.budgets.base import FULL, BudgetRequest, NoBudget, ReplicaView, Slo
from router.budgets.limits import LengthBucket, Limits, OnConflict

RULE = load_rules({})

lengths = st.integers(min_value=1, max_value=1_000_000)
floors = st.integers(min_value=1, max_value=5000)
ratios = st.floats(min_value=0, max_value=1, exclude_min=True)
hints: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    lengths.map(lambda tokens: {"hint_budget_tokens": tokens}),
    ratios.map(lambda ratio: {"hint_keep_ratio": ratio}),
)
buckets = st.lists(st.tuples(lengths, ratios), max_size=3, unique_by=lambda pair: pair[0]).map(
    lambda pairs: tuple(LengthBucket(tokens, keep_ratio=ratio) for tokens, ratio in sorted(pairs))
)
limits = st.builds(
    Limits,
    min_budget_tokens=floors,
    min_keep_ratio=st.floats(0, 1),
    max_budget_tokens=st.one_of(st.none(), lengths),
    max_keep_ratio=ratios,
    default_keep_ratio=ratios,
    length_buckets=buckets,
    min_retained_mass=st.one_of(st.none(), ratios),
    on_conflict=st.sampled_from([OnConflict.FULL_KV, OnConflict.DEGRADE]),
)
slots = st.integers(0, 1_000_000)
seconds = st.floats(0, 10)
replicas = st.builds(ReplicaView, slots, slots, seconds, seconds, st.floats(0, 1e-3))
slos = st.builds(Slo, st.one_of(st.none(), seconds), st.one_of(st.none(), seconds))
requests = st.builds(
    lambda hint, **others: BudgetRequest(**hint, **others),
    hints,
    prompt_tokens=lengths,
    new_tokens=st.integers(1, 4096),
    limits=limits,
    hint_policy=st.sampled_from(["", "window", FULL]),
    hint_min_retained_mass=st.one_of(st.none(), ratios),
    slo=slos,
    replica=st.one_of(st.none(), replicas),
)


@dataclass(frozen=True)
class Fixed:
    """A rule with one answer."""

    tokens: int | None

    def cap(self, request: BudgetRequest) -> int | None:
        return self.tokens


caps = st.dictionaries(st.text(min_size=1, max_size=5), st.one_of(st.none(), lengths), max_size=4)


@pytest.mark.parametrize("name", RULES)
@given(request=requests)
@settings(deadline=None)
def test_a_cap_is_a_number_of_tokens_or_none(name, request):
    cap = RULE[name].cap(request)
    assert cap is None or (isinstance(cap, int) and cap >= 0)


@pytest.mark.parametrize("name", RULES)
@given(request=requests, longer=lengths)
@settings(deadline=None)
def test_a_cap_never_shrinks_when_the_prompt_grows(name, request, longer):
    grown = replace(request, prompt_tokens=request.prompt_tokens + longer)
    before, after = RULE[name].cap(request), RULE[name].cap(grown)
    assert (before is None) == (after is None)
    assert before is None or after is None or before <= after


@given(request=requests, longer=lengths)
@settings(deadline=None)
def test_a_budget_never_shrinks_when_the_prompt_grows(request, longer):
    # which of two answers on_conflict gives may change with the floor, and that is its meaning
    request = replace(request, slo=Slo())
    grown = replace(request, prompt_tokens=request.prompt_tokens + longer)
    assert kv_budget(request, RULE).tokens <= kv_budget(grown, RULE).tokens


@given(request=requests)
@settings(deadline=None)
def test_a_budget_lies_between_the_tenants_floor_and_cap_and_never_above_the_prompt(request):
    budget, limits, prompt_tokens = kv_budget(request, RULE), request.limits, request.prompt_tokens
    floor = min(limits.floor_tokens(prompt_tokens), prompt_tokens)
    most = [limits.max_budget_tokens or prompt_tokens, max(1, int(limits.max_keep_ratio * prompt_tokens))]
    assert floor <= budget.tokens <= prompt_tokens
    assert budget.tokens <= max(floor, min(most))


@given(request=requests, caps=caps)
@settings(deadline=None)
def test_the_smallest_cap_wins_and_is_named_first(request, caps):
    floor = request.limits.floor_tokens(request.prompt_tokens)
    budget = kv_budget(request, {name: Fixed(cap) for name, cap in caps.items()})
    said = {name: cap for name, cap in caps.items() if cap is not None}
    smallest = min(said.values(), default=request.prompt_tokens)
    assert budget.tokens == min(max(smallest, floor), request.prompt_tokens)
    if not said:
        assert budget.rule == NO_RULE
    elif smallest < min(floor, request.prompt_tokens):
        assert budget.rule == FLOOR and "floor" in budget.reasons[0]
    else:
        assert said[budget.rule] == smallest and budget.reasons[0].startswith(f"{budget.rule} allows {smallest} ")


@given(request=requests, caps=caps, name=st.text(min_size=6), cap=st.one_of(st.none(), lengths))
@settings(deadline=None)
def test_one_more_rule_never_raises_the_budget(request, caps, name, cap):
    rules = {name: Fixed(cap) for name, cap in caps.items()}
    assert kv_budget(request, rules | {name: Fixed(cap)}).tokens <= kv_budget(request, rules).tokens


@given(request=requests)
@settings(deadline=None)
def test_the_larger_mass_of_tenant_and_client_is_asked_for(request):
    asked = [mass for mass in (request.limits.min_retained_mass, request.hint_min_retained_mass) if mass is not None]
    assert kv_budget(request, RULE).min_retained_mass == max(asked, default=None)


def test_policy_full_is_capped_by_the_tenant_alone():
    request = BudgetRequest(10_000, hint_policy=FULL, hint_budget_tokens=3)
    capped = replace(request, limits=Limits(max_budget_tokens=300))
    assert (kv_budget(request, RULE).tokens, kv_budget(request, RULE).rule) == (10_000, NO_RULE)
    assert (kv_budget(capped, RULE).tokens, kv_budget(capped, RULE).rule) == (300, "tenant_cap")


@pytest.mark.parametrize(
    ("prompt_tokens", "hint", "tokens", "rule", "first_reason"),
    [
        (2048, {}, 2048, "prompt_length", "prompt_length allows 2048 tokens, the prompt has 2048"),
        (2049, {}, 2048, "prompt_length", "prompt_length allows 2048 tokens, the prompt has 2049"),
        (32768, {}, 8192, "prompt_length", "prompt_length allows 8192 tokens, the prompt has 32768"),
        (100, {}, 100, "prompt_length", "prompt_length allows 100 tokens, the prompt has 100"),
        (1000, {"hint_budget_tokens": 300}, 300, "request_hint", "request_hint allows 300 tokens, the prompt has 1000"),
        (1000, {"hint_budget_tokens": 5000}, 1000, "request_hint", "request_hint allows 5000 tokens"),
        (1000, {"hint_keep_ratio": 0.5}, 500, "request_hint", "request_hint allows 500 tokens, the prompt has 1000"),
        (1000, {"hint_budget_tokens": 3}, 64, "floor", "raised from 3 to the floor of 64 tokens"),
        (1000, {"hint_policy": FULL, "hint_budget_tokens": 3}, 1000, "none", "no rule caps the 1000 prompt tokens"),
    ],
)
def test_examples(prompt_tokens, hint, tokens, rule, first_reason):
    budget = kv_budget(BudgetRequest(prompt_tokens, **hint), RULE)
    assert (budget.tokens, budget.rule) == (tokens, rule)
    assert budget.reasons[0].startswith(first_reason)


@pytest.mark.parametrize(
    ("prompt_tokens", "tokens"), [(500, 500), (1000, 1000), (1001, 1000), (4000, 1200), (5000, 1500), (9000, 2250)]
)
def test_length_buckets_hold_up_to_their_end_and_none_gives_less_than_the_one_before(prompt_tokens, tokens):
    buckets = (LengthBucket(1000, keep_ratio=1.0), LengthBucket(4000, keep_ratio=0.3), LengthBucket(5000, 1500))
    request = BudgetRequest(prompt_tokens, limits=Limits(length_buckets=buckets))
    assert kv_budget(request, RULE).tokens == tokens


SLOW = ReplicaView(10_000, 10_000, ttft_seconds=9.0, tpot_base_seconds=0.01, tpot_token_seconds=1e-5)


@pytest.mark.parametrize(
    ("choice", "tokens", "rule"), [(OnConflict.FULL_KV, 1000, "prompt_length"), (OnConflict.DEGRADE, 64, FLOOR)]
)
def test_when_no_budget_meets_the_slo_the_tenant_has_chosen(choice, tokens, rule):
    request = BudgetRequest(1000, limits=Limits(on_conflict=choice), slo=Slo(ttft_seconds=1.0), replica=SLOW)
    budget = kv_budget(request, RULE)
    assert (budget.tokens, budget.rule) == (tokens, rule)
    assert any("the SLO allows 0 tokens, the floor is 64" in reason for reason in budget.reasons)


def test_a_tenant_may_choose_no_answer_rather_than_a_late_one():
    request = BudgetRequest(1000, limits=Limits(on_conflict=OnConflict.REJECT), slo=Slo(ttft_seconds=1), replica=SLOW)
    with pytest.raises(NoBudget, match="the SLO allows 0 tokens, the floor is 64, and on_conflict is reject"):
        kv_budget(request, RULE)


def test_an_unknown_rule_or_parameter_stops_the_start():
    with pytest.raises(ValueError, match="promt_length is no budget rule; known: prompt_length, request_hint"):
        load_rules({"promt_length": {}})
    with pytest.raises(TypeError, match="start_rato"):
        load_rules({"load": {"start_rato": 0.5}})
