"""Policies of all shapes that fit together."""

from typing import Any

from hypothesis import strategies as st

from router.budgets.limits import Limits, OnConflict, Priority
from router.tenants.checks import contradictions, own_problems
from router.tenants.policy import TenantPolicy

ratios = st.floats(0.01, 1.0)
tokens = st.integers(1, 100_000)


@st.composite
def _buckets(draw: st.DrawFn) -> list[dict[str, Any]]:
    lengths = sorted(draw(st.sets(tokens, max_size=3)))
    keeps = st.one_of(st.fixed_dictionaries({"budget_tokens": tokens}), st.fixed_dictionaries({"keep_ratio": ratios}))
    return [{"max_prompt_tokens": length, **draw(keeps)} for length in lengths]


limits = st.fixed_dictionaries(
    {},
    optional={
        "min_budget_tokens": tokens,
        "min_keep_ratio": ratios,
        "max_budget_tokens": tokens,
        "max_keep_ratio": ratios,
        "default_keep_ratio": ratios,
        "length_buckets": _buckets(),
        "min_retained_mass": ratios,
        "ttft_seconds": st.floats(0.001, 1000),
        "tpot_seconds": st.floats(0.001, 10),
        "on_conflict": st.sampled_from([choice.value for choice in OnConflict]),
        "priority": st.sampled_from([level.name.lower() for level in Priority]),
        "weight": st.floats(0.1, 100),
        "requests_per_minute": tokens,
        "max_resident_kv_tokens": tokens,
        "adapter_aliases": st.lists(st.sampled_from(["*", "news", "law/canary"]), max_size=2),
    },
)
models = st.sampled_from(["*", "llama*", "llama-3", "llama-3*", "qwen"])
rules = st.lists(
    st.fixed_dictionaries({"model": models, "limits": limits}), max_size=3, unique_by=lambda rule: str(rule["model"])
)
plain = st.fixed_dictionaries({}, optional={"limits": limits, "model_rules": rules})


@st.composite
def policies(draw: st.DrawFn) -> dict[str, TenantPolicy]:
    """By tenant; each fits those before it."""
    found: dict[str, TenantPolicy] = {}
    for tenant in draw(st.lists(st.sampled_from(["cluster", "acme", "beta"]), unique=True)):
        policy = TenantPolicy.of(draw(plain))
        if not own_problems(policy) and not contradictions(Limits(), {**found, tenant: policy}, tenant):
            found[tenant] = policy
    return found
