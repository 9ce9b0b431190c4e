"""What the chart gives Prometheus and Grafana is what was tried."""

import json

import yaml

from tests.chart.rendering import CHART, of_kind, render

MANIFESTS = "eight-gpus-values.yaml"


def test_the_rules_are_those_of_the_file():
    rules = of_kind(render(MANIFESTS), "PrometheusRule")["alerts"]
    assert rules["spec"] == yaml.safe_load((CHART / "files" / "rules.yaml").read_text())


def test_the_dashboard_is_that_of_the_file():
    shown = of_kind(render(MANIFESTS), "ConfigMap")["dashboard"]["data"]["lookaheadkv.json"]
    assert json.loads(shown) == json.loads((CHART / "files" / "dashboard.json").read_text())


def test_neither_is_there_unless_asked_for():
    manifests = render("one-gpu-values.yaml")
    assert not of_kind(manifests, "PrometheusRule")
    assert "dashboard" not in of_kind(manifests, "ConfigMap")
