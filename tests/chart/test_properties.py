"""Whatever the schema lets through keeps what this project promises."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.chart.checks import problems
from tests.chart.rendering import of_kind, render_with

booleans = st.booleans()
names = st.sampled_from(["", "secret-of-ours"])
drains = st.fixed_dictionaries({"preStopSeconds": st.integers(0, 600), "graceSeconds": st.integers(1, 3600)})
counts = st.one_of(st.integers(0, 5), st.sampled_from(["25%", "100%"]))
budgets = st.fixed_dictionaries({"enabled": booleans, "maxUnavailable": counts})
runtimes = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 9),
        "gpu": st.fixed_dictionaries({"enabled": booleans, "count": st.integers(1, 2), "tolerate": booleans}),
        "autoscaling": st.fixed_dictionaries({"enabled": booleans, "minReplicas": st.integers(1, 3)}),
        "drain": drains,
        "pdb": budgets,
        "env": st.sampled_from([{}, {"RUNTIME_COALESCE_SECONDS": "0.1"}]),
        "tolerations": st.sampled_from([[], [{"key": "spot", "operator": "Exists"}]]),
    }
)
routers = st.fixed_dictionaries(
    {
        "replicas": st.integers(0, 9),
        "discovery": st.sampled_from(["dns", "kubernetes", "static"]),
        "http": st.fixed_dictionaries({"enabled": booleans}),
        "targets": st.just(["runtime:50052"]),
        "apiKeysSecret": names,
        "tenantSeed": st.sampled_from(["", "cluster: {limits: {}}\n"]),
        "autoscaling": st.fixed_dictionaries({"enabled": booleans, "minReplicas": st.integers(1, 3)}),
        "drain": drains,
        "pdb": budgets,
    }
)
redis = st.fixed_dictionaries(
    {
        "enabled": booleans,
        "external": st.sampled_from([{}, {"url": "rediss://r:6380", "caSecret": "ca"}, {"host": "r", "username": "u"}]),
        "embedded": st.fixed_dictionaries(
            {"enabled": booleans, "storage": st.fixed_dictionaries({"enabled": booleans}), "existingSecret": names}
        ),
    }
)
values = st.fixed_dictionaries(
    {
        "runtime": runtimes,
        "router": routers,
        "redis": redis,
        "scorer": st.fixed_dictionaries({"nativeSidecar": booleans, "config": st.sampled_from(["", "default: {}\n"])}),
        "model": st.sampled_from([{}, {"existingClaim": "models"}, {"hostPath": "/models"}]),
        "tracing": st.sampled_from([{}, {"endpoint": "http://collector:4317"}]),
        "fullnameOverride": st.sampled_from(["", "kv"]),
        "smokeTest": st.fixed_dictionaries({"apiKeySecret": names}),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_every_check_holds(found):
    assert problems(render_with(**found)) == []


@settings(max_examples=15, deadline=None)
@given(values)
def test_an_upgrade_keeps_the_selectors(found):
    def selectors(manifests: list[dict[str, Any]]) -> dict[str, Any]:
        kinds = {**of_kind(manifests, "Deployment"), **of_kind(manifests, "StatefulSet")}
        return {name: one["spec"]["selector"] for name, one in kinds.items()}

    name = {"fullnameOverride": found["fullnameOverride"], "redis": found["redis"]}
    assert selectors(render_with(**name)) == selectors(render_with(**found, commonLabels={"team": "serving"}))


@pytest.mark.parametrize("replicas", [0, 1, 2])
def test_a_budget_of_disruption_is_for_more_than_one_pod_and_may_be_none(replicas):
    manifests = render_with(router={"replicas": replicas, "pdb": {"maxUnavailable": 0}})
    budgets = of_kind(manifests, "PodDisruptionBudget")
    assert ("router" in budgets) == (replicas > 1)
    if replicas > 1:
        assert budgets["router"]["spec"]["maxUnavailable"] == 0
