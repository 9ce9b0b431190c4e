"""The alert rules: what they name exists, each fires when it should and only then, and each says what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from router.cli.group import COMMANDS as TENANTS
from router.settings import RouterSettings
from scorer.cli.group import COMMANDS as ADAPTERS
from scorer.settings import ScorerSettings
from services.runtime.settings import RuntimeSettings
from tests.ops.pages import broken_links, read
from tests.ops.queries import objections
from tests.processes import ROOT

RULES = ROOT / "helm" / "lookaheadkv" / "files" / "rules.yaml"
TESTS = ROOT / "tests" / "ops" / "rules_test.yaml"
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
TRIED: list[dict[str, Any]] = yaml.safe_load(TESTS.read_text())["tests"]
COMMANDS = {"tenants": TENANTS, "adapters": ADAPTERS}
VARIABLES = {
    f"{settings.model_config['env_prefix']}{name}".upper()
    for settings in (RouterSettings, ScorerSettings, RuntimeSettings)
    for name in settings.model_fields
}
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def promtool(*arguments: str | Path) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    ran = subprocess.run(["promtool", *map(str, arguments)], text=True, capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_prometheus_reads_the_rules():
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES)


def test_every_alert_fires_when_it_should_and_only_then():
    assert "SUCCESS" in promtool("test", "rules", TESTS)


@each_alert
def test_every_alert_is_tried_where_it_fires_and_where_it_does_not(alert):
    tests = [test for test in TRIED if test["name"].split()[0] == alert["alert"]]
    series = " ".join(entry["series"] for test in tests for entry in test["input_series"])
    fired = [one["labels"] for test in tests for asked in test["promql_expr_test"] for one in asked["exp_samples"]]
    assert 'namespace="bad"' in series and 'namespace="good"' in series
    assert fired and all(f'severity="{alert["labels"]["severity"]}"' in labels for labels in fired)
    assert not [labels for labels in fired if 'namespace="good"' in labels]


def test_a_rule_that_never_fires_is_noticed(tmp_path):
    broken = tmp_path / "rules.yaml"
    broken.write_text(RULES.read_text().replace("lookaheadkv_policies_stale == 1", "lookaheadkv_policies_stale == 2"))
    tests = tmp_path / "tests.yaml"
    tests.write_text(TESTS.read_text().replace("../../helm/lookaheadkv/files/rules.yaml", str(broken)))
    with pytest.raises(AssertionError, match="LookaheadKVPoliciesStale"):
        promtool("test", "rules", tests)


@each_alert
def test_every_metric_and_label_exists(alert):
    assert objections(alert["expr"]) == []


@each_alert
def test_every_alert_says_what_to_do_and_where_to_read_on(alert):
    told = alert["annotations"]
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert len(told["summary"]) < 120
    assert len(told["description"]) > 80
    page, _, anchor = told["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


@each_alert
def test_what_the_remedies_name_exists(alert):
    description = alert["annotations"]["description"]
    for group, command in re.findall(r"`lookaheadkv (\w+) (\w+)`", description):
        assert command in COMMANDS[group]
    assert set(re.findall(r"\b(?:ROUTER|SCORER|RUNTIME)_[A-Z_]+\b", description)) <= VARIABLES
    for event in re.findall(r'\("([a-z ]+)"\)', description):
        sources = (
            file.read_text() for folder in ("router", "scorer", "services") for file in (ROOT / folder).rglob("*.py")
        )
        assert any(f'"{event}' in source for source in sources), event


def test_every_link_of_the_page_leads_somewhere():
    assert broken_links(read("observability.md"), ROOT / "docs") == []
    assert broken_links("[a](observability.md#nowhere) [b](nothing.md)", ROOT / "docs")


def test_what_does_not_exist_is_noticed():
    assert objections("rate(lookaheadkv_nothing_total[5m])") == ["there is no metric lookaheadkv_nothing_total"]
    assert objections('lookaheadkv_replica_out{tenant="a"}') == ["lookaheadkv_replica_out has no label tenant"]
    assert objections("sum by (tenant) (lookaheadkv_replica_out)") == ["nothing in it has the label tenant"]
    assert objections("up") == ["it names no metric of ours"]
