"""What a runtime tells Prometheus, on the fake engine."""

import asyncio
import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from services.runtime.backends.fake import FakeArgs
from tests.engine.adapters import random_adapter
from tests.integration.clients import Client, generate_request
from tests.processes import ROOT
from tests.scraping import families, scrape, value

UNITS = {"histogram": ("_seconds", "_ratio")}
LOAD = ("requests_running", "requests_queued", "resident_kv_tokens", "kv_used_ratio")
FENCED = re.compile(r"```promql\n(.*?)```", re.DOTALL)
README = (ROOT / "scorer" / "adapters" / "README.md").read_text()
JUDGING = README.partition("## Judging a canary\n")[2].partition("\n## ")[0]


def promtool(*check: str, text: str = "") -> str:
    """What `promtool check` says, which has no objection; skips the test where there is none."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    checked = subprocess.run(["promtool", "check", *check], input=text, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return checked.stdout + checked.stderr


@pytest.fixture
async def served(start_runtime, tiny_model, tmp_path):
    """A runtime that has answered under several policies."""
    adapter = random_adapter(tiny_model, tmp_path / "adapter")
    runtime = start_runtime(RUNTIME_ADAPTER_PATH=adapter)
    async with Client(runtime.target) as client:
        await client.ready()
        for policy, budget in (("full", None), ("window", 100), ("lookahead", 100), ("fused", 100)):
            request = generate_request(300, 2, budget_tokens=budget)
            request.kv.policy = policy
            await client.answer(request)
    return runtime


def test_every_metric_has_our_prefix_a_meaning_and_its_unit(served):
    found = families(served)
    assert {f"lookaheadkv_{name}" for name in LOAD} < set(found)
    for name, metric in found.items():
        assert re.fullmatch(r"lookaheadkv_[a-z_]+", name)
        assert metric.documentation.endswith(".")
        assert metric.type in ("counter", "gauge", "histogram")
        # a counter's is behind its unit
        assert name.endswith(UNITS.get(metric.type, ""))
        assert not name.endswith("_total")


def test_answers_count_by_what_scored_them(served):
    def count(policy: str, **labels: str) -> Any:
        names = ("kv_tokens_evicted_total", "ttft_seconds_count", "predicted_mass_ratio_sum")
        return tuple(value(served, f"lookaheadkv_{name}", policy=policy, **labels) for name in names)

    scored = {"adapter": "random", "version": "7", "alias": "default"}
    nobody = dict.fromkeys(scored, "")
    assert count("full", **nobody) == (0, 1, None)
    mass = pytest.approx((100 / 300) ** FakeArgs().mass_exponent)
    assert count("window", **nobody) == (200, 1, mass)
    assert count("lookahead", **scored) == count("fused", **scored) == (200, 1, mass)
    assert value(served, "lookaheadkv_requests_total", policy="fused", finish_reason="length") == 1
    assert value(served, "lookaheadkv_adapter_loaded", source="start", adapter="random", version="7") == 1


async def test_load_is_that_of_the_moment(start_runtime):
    runtime = start_runtime(tokens_per_second=20, max_running=1, total_slots=1000)
    async with Client(runtime.target) as client:
        await client.ready()
        calls = [client.generation.Generate(generate_request(300, 100)) for _ in range(2)]
        await calls[0].read()
        busy = [await asyncio.to_thread(value, runtime, f"lookaheadkv_{name}") for name in LOAD]
        for call in calls:
            call.cancel()
    assert busy == [1, 1, 400, 0.4]


async def test_a_runtime_whose_engine_still_starts_can_be_scraped(start_runtime):
    found = await asyncio.to_thread(families, start_runtime(start_seconds=60))
    assert "lookaheadkv_requests" in found
    assert not {f"lookaheadkv_{name}" for name in LOAD} & set(found)


async def test_an_empty_port_serves_no_metrics(start_runtime):
    runtime = start_runtime(RUNTIME_METRICS_PORT="")
    await asyncio.to_thread(runtime.wait_for, "ready")
    assert not [event for event in runtime.events if event["event"] == "metrics"]


def test_taken_port_ends_the_process_with_one_sentence(start_runtime):
    port = start_runtime().wait_for("metrics")["port"]
    second = start_runtime(RUNTIME_METRICS_PORT=port)
    assert second.wait() == 1
    assert second.other_lines == [f"cannot serve metrics on 127.0.0.1:{port}; choose another host or port for them\n"]


def test_what_the_manual_judges_a_canary_by_is_there(served):
    text = scrape(served)
    named = set(re.findall(r"lookaheadkv_\w+", JUDGING))
    assert len(named) >= 3
    # of a histogram only its parts are there
    assert {name for name in named if not re.search(rf"^{name}(_bucket)?{{", text, re.MULTILINE)} == set()


def test_prometheus_own_tool_finds_nothing_wrong(served, tmp_path):
    assert promtool("metrics", text=scrape(served)) == ""
    expressions = FENCED.findall(JUDGING)
    rules = [{"record": f"canary:{number}", "expr": text} for number, text in enumerate(expressions)]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "canary", "rules": rules}]}))
    assert "SUCCESS: 2 rules found" in promtool("rules", str(file))
