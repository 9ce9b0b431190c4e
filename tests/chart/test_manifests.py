"""The values in `ci/` give manifests that Kubernetes takes, and that keep what this project promises."""

import subprocess
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ConfigDict

from router.budgets.limits import Limits
from router.tenants.yaml_file import read_policies
from scorer.config_file import read_config_file
from tests.chart.checks import CHECKS
from tests.chart.rendering import CHART, CI_VALUES, HELM, helm, of_kind, pods, render

VALIDATE = HELM.parent / "chart" / "bin" / "kubernetes-validate"
KUBERNETES = "1.37"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Endpoint(Strict):
    port: str
    path: str
    interval: str


class Selector(Strict):
    matchLabels: dict[str, str]


class PodMonitorSpec(Strict):
    selector: Selector
    podMetricsEndpoints: list[Endpoint]


class Target(Strict):
    name: str


class Trigger(Strict):
    type: str
    metricType: str = "AverageValue"
    metadata: dict[str, str]


class ScaledObjectSpec(Strict):
    scaleTargetRef: Target
    minReplicaCount: int
    maxReplicaCount: int
    cooldownPeriod: int
    triggers: list[Trigger]


class Rule(Strict):
    alert: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    # Prometheus' word
    model_config = ConfigDict(extra="allow", strict=True)


class Group(Strict):
    name: str
    rules: list[Rule]


class PrometheusRuleSpec(Strict):
    groups: list[Group]


CUSTOM: dict[str, type[Strict]] = {
    "PodMonitor": PodMonitorSpec,
    "ScaledObject": ScaledObjectSpec,
    "PrometheusRule": PrometheusRuleSpec,
}


@pytest.mark.parametrize("name", CI_VALUES)
def test_helm_has_no_objection(name):
    linted = helm("lint", "--strict", str(CHART), "--values", str(CHART / "ci" / name))
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("name", CI_VALUES)
def test_kubernetes_knows_every_field(name, tmp_path):
    path = tmp_path / "manifests.yaml"
    native = [manifest for manifest in render(name) if manifest["kind"] not in CUSTOM]
    path.write_text(yaml.safe_dump_all(native))
    judged = subprocess.run([str(VALIDATE), "--strict", "-k", KUBERNETES, str(path)], text=True, capture_output=True)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    # it only warns of a kind that it does not know
    assert "WARN" not in judged.stdout + judged.stderr


@pytest.mark.parametrize("name", CI_VALUES)
def test_objects_of_operators_have_their_fields(name):
    for manifest in render(name):
        if schema := CUSTOM.get(manifest["kind"]):
            schema.model_validate(manifest["spec"])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["", *CI_VALUES])
def test_what_always_holds(name, check):
    assert list(check(render(name))) == []


def test_eight_gpus_have_what_operators_want():
    kinds = {manifest["kind"] for manifest in render("eight-gpus-values.yaml")}
    assert {"PodMonitor", "ScaledObject", "HorizontalPodAutoscaler", "Role", "PodDisruptionBudget"} <= kinds


def test_files_of_configuration_are_what_the_processes_read(tmp_path):
    scoring = of_kind(render("external-redis-tls-values.yaml"), "ConfigMap")["scoring"]["data"]["scoring.yaml"]
    (tmp_path / "scoring.yaml").write_text(scoring)
    assert read_config_file(tmp_path / "scoring.yaml").default.policy == "fused"
    tenants = of_kind(render("eight-gpus-values.yaml"), "ConfigMap")["tenants"]["data"]["tenants.yaml"]
    (tmp_path / "tenants.yaml").write_text(tenants)
    assert set(read_policies(tmp_path / "tenants.yaml", Limits())) == {"cluster", "acme"}


def test_external_redis_is_reached_over_tls_with_a_secret():
    manifests = render("external-redis-tls-values.yaml")
    assert "redis" not in of_kind(manifests, "StatefulSet")
    for name in ("rel-lookaheadkv-router", "rel-lookaheadkv-runtime"):
        text = str(pods(manifests)[name])
        assert "rediss://redis.prod.example:6380" in text and "'redis-user'" in text and "/etc/redis-ca/ca.crt" in text
    ports: list[Any] = of_kind(manifests, "NetworkPolicy")["router"]["spec"]["egress"]
    assert {"ports": [{"port": 6380}]} in ports
