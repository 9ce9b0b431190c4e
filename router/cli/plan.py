"""What an import writes, in an order in which no step contradicts what is there at that moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from router.budgets.limits import Limits
from router.tenants.checks import contradictions
from router.tenants.policy import TenantPolicy
from services.shared.cli.running import Refused

CREATE, UPDATE, DELETE = "create", "update", "delete"
Policies = Mapping[str, TenantPolicy]


@dataclass(frozen=True)
class Step:
    """One write. `alone`: it could as well be the first, so the router can check it before anything is written."""

    action: str
    tenant: str
    before: TenantPolicy | None
    after: TenantPolicy | None
    alone: bool = True


def plan(current: Policies, wanted: Policies, prune: bool) -> list[Step]:
    """The steps from `current` to `wanted`; what is only in `current` stays unless `prune`. Raises Refused."""
    left, state, ordered = _differences(current, wanted, prune), dict(current), []
    first = {step.tenant for step in left if _fits(step, state)}
    while left:
        step = next((step for step in left if _fits(step, state)), None)
        if step is None:
            names = ", ".join(step.tenant for step in left)
            raise Refused(f"{names}: no order of these writes is without a contradiction; import them in two files")
        left.remove(step)
        state = _done(step, state)
        ordered.append(Step(step.action, step.tenant, step.before, step.after, step.tenant in first))
    return ordered


def _differences(current: Policies, wanted: Policies, prune: bool) -> list[Step]:
    written = [
        Step(UPDATE if tenant in current else CREATE, tenant, current.get(tenant), policy)
        for tenant, policy in sorted(wanted.items())
        if current.get(tenant) != policy
    ]
    gone = sorted(current.keys() - wanted.keys()) if prune else []
    return written + [Step(DELETE, tenant, current[tenant], None) for tenant in gone]


def _done(step: Step, state: Policies) -> dict[str, TenantPolicy]:
    others = {tenant: policy for tenant, policy in state.items() if tenant != step.tenant}
    return others if step.after is None else {**others, step.tenant: step.after}


def _fits(step: Step, state: Policies) -> bool:
    return not contradictions(Limits(), _done(step, state), step.tenant)


def changed_fields(step: Step) -> Sequence[tuple[str, str, str]]:
    """Each field that differs, with what it was and will be."""
    before, after = (_flat(policy) for policy in (step.before, step.after))
    names = dict.fromkeys((*before, *after))
    return [(name, before.get(name, ""), after.get(name, "")) for name in names if before.get(name) != after.get(name)]


def _flat(policy: TenantPolicy | None) -> dict[str, str]:
    if policy is None:
        return {}
    found = {name: str(value) for name, value in policy.plain().get("limits", {}).items()}
    rules = {rule.model: rule.limits.model_dump(mode="json", exclude_none=True) for rule in policy.model_rules}
    return found | {f"{name}#{model}": str(value) for model, rule in rules.items() for name, value in rule.items()}
