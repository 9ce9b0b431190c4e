"""docs/tuning.md: its figures are those of the benchmarks, and what it tells operators to type works."""

import json
import re
from statistics import median
from typing import Any

import pytest

from router.settings import RouterSettings
from router.tenants.policy import LimitsPolicy
from services.runtime.settings import RuntimeSettings
from tests.integration.clients import Client
from tests.ops.pages import blocks, broken_links, commands, read
from tests.ops.queries import objections
from tests.ops.shell import run
from tests.processes import ROOT

PAGE = read("tuning.md")
BENCHMARKS = ROOT / "docs" / "benchmarks"


def table(first: str) -> list[dict[str, str]]:
    """The rows of the table whose first column has this name."""
    head, body = re.findall(rf"^\| ({first} \|.*) \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", PAGE, re.MULTILINE)[0]
    names = head.split(" | ")
    return [dict(zip(names, line.strip("| ").split(" | "), strict=True)) for line in body.splitlines()]


def measured(report: str, **wanted: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((BENCHMARKS / f"{report}.json").read_text())["rows"]
    return [row for row in rows if wanted.items() <= row.items()]


def test_agreement_is_as_measured():
    rows = table("kept")
    assert len(rows) == 5
    for row in rows:
        where = {"metric": "agreement", "budget": row.pop("kept"), "prompt_tokens": row.pop("prompts")}
        found = {method: measured("quality", method=method, **where) for method in row}
        assert {len(cells) for cells in found.values()} == {16}
        medians = {method: f"{median(cell['mean'] for cell in cells):.2f}" for method, cells in found.items()}
        assert row == medians


def test_costs_are_as_measured():
    rows = table("prompt tokens")
    assert len(rows) == 5
    for row in rows:
        tokens = int(row.pop("prompt tokens"))
        found = {method: measured("cost", method=method, prompt_tokens=tokens)[0]["ratio_to_prefill"] for method in row}
        shares = {method: float(share.removesuffix(" %")) for method, share in row.items()}
        assert shares == pytest.approx({method: 100 * ratio for method, ratio in found.items()}, abs=0.06)


def test_every_link_leads_somewhere():
    assert broken_links(PAGE, ROOT / "docs") == []


def test_every_expression_names_what_exists():
    (block,) = blocks(PAGE, "promql")
    expressions = [line for line in block.splitlines() if not line.startswith("#")]
    assert len(expressions) == 6
    assert [found for expression in expressions for found in objections(expression)] == []


def test_every_setting_and_limit_exists():
    known = {
        f"{settings.model_config['env_prefix']}{name}".upper()
        for settings in (RouterSettings, RuntimeSettings)
        for name in settings.model_fields
    }
    assert set(re.findall(r"\b(?:ROUTER|RUNTIME)_[A-Z_]+\b", PAGE)) <= known
    limits = set(re.findall(r"`((?:min|max|default)_\w+|tpot_seconds|on_conflict)", PAGE))
    assert len(limits) > 5
    assert limits <= LimitsPolicy.model_fields.keys()


async def test_the_commands_and_the_configuration_work(
    redis_server, start_runtime, start_scorer, start_router, tmp_path
):
    config = tmp_path / "scoring.yaml"
    config.write_text(blocks(PAGE, "yaml scoring.yaml")[0])
    scorer = start_scorer(config)
    runtime = start_runtime(RUNTIME_SCORER_TARGET=scorer.target)
    router = start_router(runtime.target, ROUTER_REDIS_URL=redis_server.url)
    async with Client(router.target) as client:
        await client.ready()
        told = [run(command, tmp_path, LOOKAHEADKV_ROUTER=router.target) for command in commands(PAGE)]
    assert len(told) == 5
    # a fifth of 30,000
    assert "6000" in told[-1].replace(",", "")
    runtime.wait_for("scoring configuration", source="scorer", policy="fused")
