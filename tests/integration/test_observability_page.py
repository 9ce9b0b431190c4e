"""docs/observability.md has every metric of every process, as it is scraped, and no other."""

import asyncio
import re

import pytest
from google.protobuf.duration_pb2 import Duration
from prometheus_client import Metric

from tests.engine.adapters import random_adapter
from tests.integration.clients import Client, generate_request
from tests.integration.test_metrics import promtool
from tests.processes import ROOT, ServerProcess
from tests.scraping import families, scrape

PARTS = ("bucket", "sum", "count")
PROCESSES = ("router", "runtime", "scorer")
ROW = re.compile(r"\| `(lookaheadkv_\w+)` \| (\w+) \| (.*?) \| (.*) \|")
PAGE = (ROOT / "docs" / "observability.md").read_text()


@pytest.fixture
async def processes(start_runtime, start_router, start_scorer, redis_server, tiny_model, tmp_path):
    """One of each, which have answered, refused and evicted."""
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=redis_server.url)
    adapter = random_adapter(tiny_model, tmp_path / "adapter")
    runtime = start_runtime(RUNTIME_SCORER_TARGET=scorer.target, RUNTIME_ADAPTER_PATH=adapter)
    router = start_router(runtime.target)
    async with Client(router.target) as client:
        await client.ready()
        request = generate_request(300, 40, budget_tokens=100)
        request.slo.tpot.CopyFrom(Duration(seconds=1))
        await client.answer(request)
        await client.refusal(generate_request(5000))
    return {"router": router, "runtime": runtime, "scorer": scorer}


def rows(process: str) -> dict[str, tuple[str, str, str]]:
    """Of the page: type, labels and meaning by name."""
    section = PAGE.partition(f"\n## Metrics of the {process}\n")[2].partition("\n## ")[0]
    return {name: (kind, labels, meaning) for name, kind, labels, meaning in ROW.findall(section)}


def scraped(process: ServerProcess) -> dict[str, tuple[str, str, str]]:
    return {_full_name(metric): (metric.type, _labels(metric), metric.documentation) for metric in _all(process)}


def _all(process: ServerProcess) -> list[Metric]:
    return list(families(process).values())


def _full_name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _labels(metric: Metric) -> str:
    names = {name for sample in metric.samples for name in sample.labels if name != "le"}
    return ", ".join(f"`{name}`" for name in sorted(names))


async def test_the_page_lists_what_is_scraped(processes):
    for name, process in processes.items():
        found, told = await asyncio.to_thread(scraped, process), rows(name)
        # without a sample a metric does not show its labels
        found = {
            key: (kind, labels or told.get(key, ("", "", ""))[1], text) for key, (kind, labels, text) in found.items()
        }
        wanted = "\n".join(f"| `{key}` | {' | '.join(row)} |" for key, row in found.items())
        assert told == found, f"docs/observability.md, {name}, is to be:\n{wanted}"


def test_what_is_to_be_watched_is_there():
    watched = PAGE.partition("\n### What to watch\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"lookaheadkv_\w+", watched))
    known = {name: row[0] for process in PROCESSES for name, row in rows(process).items()}
    parts = {f"{name}_{part}" for name, kind in known.items() if kind == "histogram" for part in PARTS}
    assert len(named) > 10
    assert named <= known.keys() | parts


async def test_no_name_means_two_things(processes):
    names = [set(rows(process)) for process in PROCESSES]
    assert sum(map(len, names)) == len(set.union(*names))


async def test_names_follow_prometheus_conventions(processes):
    for process in processes.values():
        text = await asyncio.to_thread(scrape, process)
        assert promtool("metrics", text=text) == ""
        for metric in _all(process):
            assert re.fullmatch(r"lookaheadkv_[a-z_]+", metric.name)
            assert metric.documentation.endswith(".")
