"""Properties that every budget rule keeps, found through the registry, and how rules combine."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.budgets import FLOOR, NO_RULE, RULES, kv_budget, load_rules
from router.budgets.base import FULL, BudgetRequest
from router.budgets.prompt_length import PromptLengthRule

RULE = load_rules({})

lengths = st.integers(min_value=1, max_value=1_000_000)
floors = st.integers(min_value=1, max_value=5000)
ratios = st.floats(min_value=0, max_value=1, exclude_min=True)
hints: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    lengths.map(lambda tokens: {"hint_budget_tokens": tokens}),
    ratios.map(lambda ratio: {"hint_keep_ratio": ratio}),
)
requests = st.builds(
    lambda tokens, policy, hint: BudgetRequest(tokens, "default", policy, **hint),
    lengths,
    st.sampled_from(["", "window", FULL]),
    hints,
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
def test_a_cap_is_one_token_or_more_or_none(name, request):
    cap = RULE[name].cap(request)
    assert cap is None or (isinstance(cap, int) and cap >= 1)


@pytest.mark.parametrize("name", RULES)
@given(request=requests, longer=lengths)
@settings(deadline=None)
def test_a_cap_never_shrinks_when_the_prompt_grows(name, request, longer):
    grown = replace(request, prompt_tokens=request.prompt_tokens + longer)
    before, after = RULE[name].cap(request), RULE[name].cap(grown)
    assert (before is None) == (after is None)
    assert before is None or after is None or before <= after


@given(request=requests, floor=floors)
@settings(deadline=None)
def test_a_budget_lies_between_floor_and_prompt(request, floor):
    budget = kv_budget(request, RULE, floor)
    assert min(floor, request.prompt_tokens) <= budget.tokens <= request.prompt_tokens


@given(request=requests, floor=floors, caps=caps)
@settings(deadline=None)
def test_the_smallest_cap_wins_and_is_named_first(request, floor, caps):
    budget = kv_budget(request, {name: Fixed(cap) for name, cap in caps.items()}, floor)
    said = {name: cap for name, cap in caps.items() if cap is not None}
    smallest = min(said.values(), default=request.prompt_tokens)
    assert budget.tokens == min(max(smallest, floor), request.prompt_tokens)
    if not said:
        assert budget.rule == NO_RULE
    elif smallest < floor:
        assert budget.rule == FLOOR and str(floor) in budget.reasons[0]
    else:
        assert said[budget.rule] == smallest and budget.reasons[0].startswith(f"{budget.rule} allows {smallest} ")


@given(request=requests, caps=caps, floor=floors, name=st.text(min_size=6), cap=st.one_of(st.none(), lengths))
@settings(deadline=None)
def test_one_more_rule_never_raises_the_budget(request, caps, floor, name, cap):
    rules = {name: Fixed(cap) for name, cap in caps.items()}
    assert kv_budget(request, rules | {name: Fixed(cap)}, floor).tokens <= kv_budget(request, rules, floor).tokens


@given(request=requests)
@settings(deadline=None)
def test_policy_full_is_never_capped_by_default(request):
    budget = kv_budget(replace(request, hint_policy=FULL), RULE, 64)
    assert (budget.tokens, budget.rule) == (request.prompt_tokens, NO_RULE)


@pytest.mark.parametrize(
    ("prompt_tokens", "hint", "tokens", "rule", "first_reason"),
    [
        (2048, {}, 2048, "prompt_length", "prompt_length allows 2048 tokens, the prompt has 2048"),
        (2049, {}, 2048, "prompt_length", "prompt_length allows 2048 tokens, the prompt has 2049"),
        (32768, {}, 8192, "prompt_length", "prompt_length allows 8192 tokens, the prompt has 32768"),
        (100, {}, 100, "prompt_length", "prompt_length allows 2048 tokens, the prompt has 100"),
        (1000, {"hint_budget_tokens": 300}, 300, "request_hint", "request_hint allows 300 tokens, the prompt has 1000"),
        (1000, {"hint_budget_tokens": 5000}, 1000, "request_hint", "request_hint allows 5000 tokens"),
        (1000, {"hint_keep_ratio": 0.5}, 500, "request_hint", "request_hint allows 500 tokens, the prompt has 1000"),
        (1000, {"hint_budget_tokens": 3}, 64, "floor", "raised from 3 to the floor of 64 tokens"),
        (1000, {"hint_policy": FULL, "hint_budget_tokens": 3}, 1000, "none", "no rule caps the 1000 prompt tokens"),
    ],
)
def test_examples(prompt_tokens, hint, tokens, rule, first_reason):
    budget = kv_budget(BudgetRequest(prompt_tokens, "default", **hint), RULE, 64)
    assert (budget.tokens, budget.rule) == (tokens, rule)
    assert budget.reasons[0].startswith(first_reason)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"keep_ratio": 0.0}, "keep_ratio is 0.0; set it above 0"),
        ({"keep_ratio": 1.5}, "keep_ratio is 1.5; set it above 0 and to 1 at most"),
        ({"keep_ratio": float("nan")}, "keep_ratio is nan"),
        ({"shortest_budget_tokens": 0}, "shortest_budget_tokens is 0; set it to 1 or more"),
    ],
)
def test_a_wrong_parameter_is_named_with_value_and_remedy(params, message):
    with pytest.raises(ValueError, match=message):
        PromptLengthRule(**params)


def test_an_unknown_rule_or_parameter_stops_the_start():
    with pytest.raises(ValueError, match="promt_length is no budget rule; known: prompt_length, request_hint"):
        load_rules({"promt_length": {}})
    with pytest.raises(TypeError, match="keep_rato"):
        load_rules({"prompt_length": {"keep_rato": 0.5}})
