"""Which limits hold for a tenant and a model: built-in < cluster < tenant < the tenant's rule for the model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from router.budgets.limits import LengthBucket, Limits
from router.tenants.policy import CLUSTER, BucketPolicy, LimitsPolicy, ModelRule, TenantPolicy

BUILTIN = "builtin"


@dataclass(frozen=True)
class Effective:
    """Limits, and for each field the level that it comes from."""

    limits: Limits
    origins: Mapping[str, str]


def effective(builtin: Limits, policies: Mapping[str, TenantPolicy], tenant: str, model: str) -> Effective:
    """The limits of `tenant` for `model`. `policies` are by tenant, those for all by `cluster`."""
    values = {field.name: getattr(builtin, field.name) for field in fields(Limits)}
    origins = dict.fromkeys(values, BUILTIN)
    for origin, level in _levels(policies, tenant, model):
        for name, value in _set_fields(level).items():
            values[name], origins[name] = value, origin
    return Effective(Limits(**values), origins)


def resource_name(tenant: str) -> str:
    """The name of a policy on the wire."""
    return f"{CLUSTER}/budgetPolicy" if tenant == CLUSTER else f"tenants/{tenant}/budgetPolicy"


def matching_rule(rules: Sequence[ModelRule], model: str) -> ModelRule | None:
    """The rule with exactly this name, else the one with the longest prefix."""
    exact = next((rule for rule in rules if rule.model == model), None)
    prefixes = [rule for rule in rules if rule.model.endswith("*") and model.startswith(rule.model[:-1])]
    return exact or max(prefixes, key=lambda rule: len(rule.model), default=None)


def _levels(policies: Mapping[str, TenantPolicy], tenant: str, model: str) -> Iterator[tuple[str, LimitsPolicy]]:
    for owner in dict.fromkeys((CLUSTER, tenant)):
        if policy := policies.get(owner):
            yield resource_name(owner), policy.limits
            if rule := matching_rule(policy.model_rules, model):
                yield f"{resource_name(owner)}#{rule.model}", rule.limits


def _set_fields(level: LimitsPolicy) -> dict[str, object]:
    found = {name: getattr(level, name) for name in type(level).model_fields}
    given = {name: value for name, value in found.items() if value is not None}
    if level.length_buckets is not None:
        given["length_buckets"] = tuple(map(_bucket, level.length_buckets))
    return given


def _bucket(bucket: BucketPolicy) -> LengthBucket:
    return LengthBucket(bucket.max_prompt_tokens, bucket.budget_tokens, bucket.keep_ratio)
