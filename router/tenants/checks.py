"""What a policy may not say beyond its types: against itself, against the levels around it, and about adapters."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from router.budgets.limits import ANY_ALIAS, Limits
from router.tenants.inheritance import effective, resource_name
from router.tenants.policy import CLUSTER, LimitsPolicy, TenantPolicy

# the first may not be above the second; a default may be above another level's maximum, which then caps it
ORDERED = (
    ("min_budget_tokens", "max_budget_tokens"),
    ("min_keep_ratio", "max_keep_ratio"),
    ("min_budget_tokens", "max_resident_kv_tokens"),
)
ORDERED_IN_ONE = (*ORDERED, ("default_keep_ratio", "max_keep_ratio"))

Policies = Mapping[str, TenantPolicy]


@dataclass(frozen=True)
class Problem:
    """Where in a policy, and what is wrong there."""

    path: tuple[str | int, ...]
    description: str


def own_problems(policy: TenantPolicy) -> list[Problem]:
    """What is wrong with a policy whatever the others are."""
    found = list(_limits_problems(("limits",), policy.limits))
    names = [rule.model for rule in policy.model_rules]
    for index, rule in enumerate(policy.model_rules):
        path = ("model_rules", index)
        if "*" in rule.model[:-1]:
            found.append(Problem((*path, "model"), f"{rule.model!r}: `*` may only stand at the end"))
        if rule.model in names[:index]:
            found.append(Problem((*path, "model"), f"{rule.model!r} has a rule already; make them one"))
        found += _limits_problems((*path, "limits"), rule.limits)
    return found


def alias_problems(policy: TenantPolicy, known: Collection[str] | None) -> list[Problem]:
    """Aliases that no runtime knows; none while it is not known which there are."""
    if known is None:
        return []
    return [
        Problem(
            (*path, "adapter_aliases"),
            f"{alias!r} is no alias of an adapter; known: {', '.join(sorted(known)) or 'none'}; {ANY_ALIAS!r} is all",
        )
        for path, limits in all_limits(policy)
        for alias in limits.adapter_aliases or ()
        if alias != ANY_ALIAS and alias not in known
    ]


def contradictions(builtin: Limits, policies: Policies, changed: str) -> list[Problem]:
    """Where a minimum is above a maximum after inheritance, and the policy of `changed` is one of both levels.

    Without such a policy, as after the deletion of the cluster's: any.
    """
    if changed not in policies and changed != CLUSTER:
        return []
    tenants = (changed,) if changed != CLUSTER else (CLUSTER, *(name for name in policies if name != CLUSTER))
    found: dict[Problem, None] = {}
    for tenant in tenants:
        for model in _models(policies, tenant):
            found |= dict.fromkeys(_conflicts(builtin, policies, tenant, model, changed))
    return list(found)


def all_limits(policy: TenantPolicy) -> Iterator[tuple[tuple[str | int, ...], LimitsPolicy]]:
    """Each limits of a policy, and its path."""
    yield ("limits",), policy.limits
    for index, rule in enumerate(policy.model_rules):
        yield ("model_rules", index, "limits"), rule.limits


def _limits_problems(path: tuple[str | int, ...], limits: LimitsPolicy) -> Iterator[Problem]:
    for low, high in ORDERED_IN_ONE:
        least, most = getattr(limits, low), getattr(limits, high)
        if least is not None and most is not None and least > most:
            yield Problem((*path, low), f"{least:g} is above {high} {most:g}; lower it, or raise {high}")
    buckets = limits.length_buckets or ()
    for index, (bucket, following) in enumerate(zip(buckets, buckets[1:], strict=False), start=1):
        if following.max_prompt_tokens <= bucket.max_prompt_tokens:
            yield Problem(
                (*path, "length_buckets", index, "max_prompt_tokens"),
                f"{following.max_prompt_tokens} is not above {bucket.max_prompt_tokens} of the bucket before it; "
                "sort them, each length once",
            )


def _models(policies: Policies, tenant: str) -> list[str]:
    """One model for each combination of rules that can meet."""
    rules = [rule for owner in (CLUSTER, tenant) if owner in policies for rule in policies[owner].model_rules]
    return list(dict.fromkeys(["", *(rule.model.rstrip("*") for rule in rules)]))


def _conflicts(builtin: Limits, policies: Policies, tenant: str, model: str, changed: str) -> Iterator[Problem]:
    found = effective(builtin, policies, tenant, model)
    name = resource_name(changed)
    for low, high in ORDERED:
        least, most = getattr(found.limits, low), getattr(found.limits, high)
        if most is None or least <= most:
            continue
        sides = ((low, least), (high, most))
        mine = [field for field, _ in sides if found.origins[field].partition("#")[0] == name]
        if not mine and changed in policies:
            continue
        words = " is above ".join(f"{field} {value:g} of {found.origins[field]}" for field, value in sides)
        where = _path(policies, changed, found.origins[mine[0]], mine[0]) if mine else ("name",)
        yield Problem(where, f"{words}; change one of them first")


def _path(policies: Policies, owner: str, origin: str, field: str) -> tuple[str | int, ...]:
    model = origin.partition("#")[2]
    if not model:
        return ("limits", field)
    index = [rule.model for rule in policies[owner].model_rules].index(model)
    return ("model_rules", index, "limits", field)
