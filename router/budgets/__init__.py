"""How much KV a request may keep: rules cap it, the smallest cap wins. To add a rule: a file here, one line below."""

import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from router.budgets.base import Budget, BudgetRequest, BudgetRule, NoBudget
from router.budgets.limits import OnConflict

RULES = {
    "prompt_length": "router.budgets.prompt_length:PromptLengthRule",
    "request_hint": "router.budgets.request_hint:RequestHintRule",
    "tenant_cap": "router.budgets.tenant_cap:TenantCapRule",
    "resident_quota": "router.budgets.resident_quota:ResidentQuotaRule",
    "slo": "router.budgets.slo:SloRule",
    "load": "router.budgets.load:LoadRule",
}
# the rule that the tenant's `on_conflict` is about
SLO = "slo"
# deciders that are no rules
FLOOR = "floor"
NO_RULE = "none"


def load_rules(params: Mapping[str, Mapping[str, Any]]) -> dict[str, BudgetRule]:
    """Every rule by name, built with its `params`. Raises ValueError or TypeError when they do not fit."""
    if unknown := params.keys() - RULES.keys():
        raise ValueError(f"{', '.join(sorted(unknown))} is no budget rule; known: {', '.join(RULES)}")
    return {name: _rule_class(name)(**params.get(name, {})) for name in RULES}


def kv_budget(request: BudgetRequest, rules: Mapping[str, BudgetRule]) -> Budget:
    """The smallest cap, raised to the tenant's floor, and never more than the prompt.

    Raises NoBudget when only less than the floor meets the SLO and the tenant's `on_conflict` is `reject`.
    """
    caps = sorted((cap, name) for name, rule in rules.items() if (cap := rule.cap(request)) is not None)
    floor = request.limits.floor_tokens(request.prompt_tokens)
    first: list[str] = []
    if (slo := next((cap for cap, name in caps if name == SLO), floor)) < floor:
        first, caps = _on_conflict(request.limits.on_conflict, slo, floor, caps)
    reasons = [*first, *(f"{name} allows {cap} tokens, the prompt has {request.prompt_tokens}" for cap, name in caps)]
    mass = _min_retained_mass(request)
    if not caps:
        whole = f"no rule caps the {request.prompt_tokens} prompt tokens"
        return Budget(request.prompt_tokens, NO_RULE, (*first, whole), mass)
    smallest, decider = caps[0]
    if smallest < floor:
        decider = FLOOR
        reasons.insert(0, f"raised from {smallest} to the floor of {floor} tokens")
    return Budget(min(max(smallest, floor), request.prompt_tokens), decider, tuple(reasons), mass)


def _on_conflict(
    choice: OnConflict, slo: int, floor: int, caps: list[tuple[int, str]]
) -> tuple[list[str], list[tuple[int, str]]]:
    """What is said first, and the caps that are left."""
    conflict = f"the SLO allows {slo} tokens, the floor is {floor}"
    if choice is OnConflict.REJECT:
        raise NoBudget(f"{conflict}, and on_conflict is reject; ask for less speed, or send it again later")
    if choice is OnConflict.FULL_KV:
        return [f"{conflict}, and on_conflict is full_kv: the SLO is let go"], [cap for cap in caps if cap[1] != SLO]
    return [f"{conflict}, and on_conflict is degrade"], caps


def _min_retained_mass(request: BudgetRequest) -> float | None:
    """The larger of what tenant and client ask for."""
    asked = (request.limits.min_retained_mass, request.hint_min_retained_mass)
    return max((mass for mass in asked if mass is not None), default=None)


def _rule_class(name: str) -> Callable[..., BudgetRule]:
    rule: Callable[..., BudgetRule] = pkgutil.resolve_name(RULES[name])
    return rule
