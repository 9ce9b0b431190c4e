"""The Grafana dashboard: Grafana can import it, and every query names metrics and labels that exist."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.ops.queries import known_metrics, objections
from tests.processes import ROOT

DASHBOARD: dict[str, Any] = json.loads((ROOT / "helm" / "lookaheadkv" / "files" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target for panel in PANELS for target in panel["targets"]]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
ROWS = ["Traffic and SLO", "Budgets and eviction", "Queue and tenants", "Runtimes", "Adapters and canary", "Scorer"]


def test_grafana_can_import_it():
    assert DASHBOARD["schemaVersion"] >= 36
    assert DASHBOARD["uid"] and DASHBOARD["title"]
    assert "__inputs" not in DASHBOARD and "id" not in DASHBOARD
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == ROWS


def test_it_asks_for_its_data_source_and_filters_by_namespace():
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    # also where nothing has that label
    assert variables["namespace"]["allValue"] == ".*"
    assert all(one["datasource"] == SOURCE for one in [*PANELS, *QUERIES, variables["namespace"]])
    for query in QUERIES:
        selectors = re.findall(r"lookaheadkv_\w+(\{[^}]*\})?", query["expr"])
        assert all('namespace=~"$namespace"' in selector for selector in selectors), query["expr"]


def test_panels_do_not_lie_on_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query["expr"][:60])
def test_every_query_names_metrics_and_labels_that_exist(query):
    assert objections(query["expr"]) == []
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", query["expr"]))))
    assert set(re.findall(r"\{\{(\w+)\}\}", query["legendFormat"])) <= grouped


def test_prometheus_reads_every_query(tmp_path):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    expressions = [query["expr"].replace("$__rate_interval", "5m") for query in QUERIES]
    rules = [{"record": f"query:{index}", "expr": expression} for index, expression in enumerate(expressions)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    ran = subprocess.run(["promtool", "check", "rules", file], text=True, capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_metric_of_ours_is_left_out_without_a_reason():
    shown = set(re.findall(r"lookaheadkv_\w+", " ".join(query["expr"] for query in QUERIES)))
    shown |= {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    metrics = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known_metrics()}
    # beside their twins of the router, or of use for a single answer only
    assert metrics - shown == {
        "lookaheadkv_requests_total",
        "lookaheadkv_queue_wait_seconds",
        "lookaheadkv_resident_kv_tokens",
        "lookaheadkv_replica_kv_used_ratio",
        "lookaheadkv_replica_latency_samples",
        "lookaheadkv_replica_ttft_queued_token_seconds",
        "lookaheadkv_router_kv_tokens_retained_total",
    }
