"""Inheritance: each field from the nearest level that sets it, and never a minimum above a maximum."""

from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from protos.router.v1 import tenant_budget_pb2 as pb
from router.budgets.limits import Limits
from router.tenants.inheritance import BUILTIN, effective, matching_rule, resource_name
from router.tenants.messages import budget_message, limits_message, to_policy
from router.tenants.policy import ModelRule, TenantPolicy
from router.tenants.store import StoredPolicy
from services.shared.durations import to_duration, to_seconds
from tests.unit.router.tenants.policies import plain, policies

models = st.sampled_from(["llama-3", "llama-31", "qwen", "other"])


@settings(max_examples=100, deadline=None)
@given(policies(), st.sampled_from(["acme", "beta", "other"]), models)
def test_what_was_allowed_to_be_written_fits_together_for_every_tenant_and_model(found, tenant, model):
    limits = effective(Limits(), found, tenant, model).limits
    assert limits.min_budget_tokens <= (limits.max_budget_tokens or limits.min_budget_tokens)
    assert limits.min_keep_ratio <= limits.max_keep_ratio
    lengths = [bucket.max_prompt_tokens for bucket in limits.length_buckets]
    assert lengths == sorted(set(lengths))


@settings(max_examples=100, deadline=None)
@given(policies(), st.sampled_from(["acme", "other"]), models)
def test_each_field_comes_from_the_last_level_that_sets_it(found, tenant, model):
    answer = effective(Limits(), found, tenant, model)
    levels: list[tuple[str, Any]] = [(BUILTIN, None)]
    for owner in ("cluster", tenant):
        if policy := found.get(owner):
            levels.append((resource_name(owner), policy.limits))
            if rule := matching_rule(policy.model_rules, model):
                levels.append((f"{resource_name(owner)}#{rule.model}", rule.limits))
    for field in fields(Limits):
        setting = [name for name, limits in levels if limits is None or getattr(limits, field.name) is not None]
        assert answer.origins[field.name] == setting[-1]
        if setting[-1] == BUILTIN:
            assert getattr(answer.limits, field.name) == getattr(Limits(), field.name)


@settings(max_examples=100, deadline=None)
@given(plain)
def test_a_policy_goes_over_the_wire_and_into_the_store_and_comes_back(value):
    policy = TenantPolicy.of(value)
    assert TenantPolicy.model_validate_json(policy.to_json()) == policy
    message = budget_message(StoredPolicy("acme", policy.to_json(), 1, 2, "root"), policy)
    back = to_policy(pb.TenantBudget.FromString(message.SerializeToString()))
    # durations are whole nanoseconds
    assert _rounded(back) == _rounded(policy)


def test_the_builtin_limits_go_over_the_wire():
    back = to_policy(pb.TenantBudget(limits=limits_message(Limits()))).limits
    assert (back.min_budget_tokens, back.ttft_seconds, back.priority) == (64, None, Limits().priority)


def test_the_exact_name_of_a_model_beats_the_longest_prefix():
    rules = [ModelRule(model=name) for name in ("*", "llama*", "llama-3*", "llama-3")]
    found = {model: matching_rule(rules, model) for model in ("llama-3", "llama-31", "llama-2", "qwen")}
    assert {model: rule.model for model, rule in found.items() if rule} == {
        "llama-3": "llama-3",
        "llama-31": "llama-3*",
        "llama-2": "llama*",
        "qwen": "*",
    }
    assert matching_rule(rules[1:], "qwen") is None


def _rounded(policy: TenantPolicy) -> TenantPolicy:
    def limits(found):
        times = {name: getattr(found, name) for name in ("ttft_seconds", "tpot_seconds")}
        return found.model_copy(update={name: time and to_seconds(to_duration(time)) for name, time in times.items()})

    rules = tuple(rule.model_copy(update={"limits": limits(rule.limits)}) for rule in policy.model_rules)
    return TenantPolicy(limits=limits(policy.limits), model_rules=rules)
