"""How much KV a request may keep: rules cap it, the smallest cap wins. To add a rule: a file here, one line below."""

import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from router.budgets.base import Budget, BudgetRequest, BudgetRule

RULES = {
    "prompt_length": "router.budgets.prompt_length:PromptLengthRule",
    "request_hint": "router.budgets.request_hint:RequestHintRule",
}
# deciders that are no rules
FLOOR = "floor"
NO_RULE = "none"


def load_rules(params: Mapping[str, Mapping[str, Any]]) -> dict[str, BudgetRule]:
    """Every rule by name, built with its `params`. Raises ValueError or TypeError when they do not fit."""
    if unknown := params.keys() - RULES.keys():
        raise ValueError(f"{', '.join(sorted(unknown))} is no budget rule; known: {', '.join(RULES)}")
    return {name: _rule_class(name)(**params.get(name, {})) for name in RULES}


def kv_budget(request: BudgetRequest, rules: Mapping[str, BudgetRule], floor_tokens: int) -> Budget:
    """The smallest cap, raised to the floor, and never more than the prompt."""
    caps = sorted((cap, name) for name, rule in rules.items() if (cap := rule.cap(request)) is not None)
    if not caps:
        return Budget(request.prompt_tokens, NO_RULE, (f"no rule caps the {request.prompt_tokens} prompt tokens",))
    smallest, decider = caps[0]
    reasons = [f"{name} allows {cap} tokens, the prompt has {request.prompt_tokens}" for cap, name in caps]
    if smallest < floor_tokens:
        decider = FLOOR
        reasons.insert(0, f"raised from {smallest} to the floor of {floor_tokens} tokens")
    return Budget(min(max(smallest, floor_tokens), request.prompt_tokens), decider, tuple(reasons))


def _rule_class(name: str) -> Callable[..., BudgetRule]:
    rule: Callable[..., BudgetRule] = pkgutil.resolve_name(RULES[name])
    return rule
