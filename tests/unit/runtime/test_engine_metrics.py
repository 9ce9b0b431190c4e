"""What a scrape finds of an engine, whatever state that is in."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric

from services.runtime.adapter_table import AdapterAlias, AdapterTable, Loaded, LocalAdapter
from services.runtime.adapters import AdapterInfo
from services.runtime.backends.base import EngineFailed, Load
from services.runtime.backends.fake import FakeArgs, FakeBackend
from services.runtime.engine import Engine
from services.runtime.engine_metrics import EngineMetrics
from tests.unit.runtime.test_servicer import INFO, ReadyEngine

ADAPTER = AdapterInfo("smol", 3, "0" * 64, 32)


class LoadlessBackend(FakeBackend):
    """Never says how busy it is."""

    answer: Exception | None = None

    async def load(self) -> Load:
        if self.answer:
            raise self.answer
        await asyncio.Event().wait()
        return await super().load()


def table(*ids: str) -> AdapterTable:
    """Each of these is held, and all have the same name and version."""
    filled = AdapterTable(max_bytes=100)
    filled.update({id: AdapterAlias(LocalAdapter(id, Path(id), 1, ADAPTER)) for id in ids})
    filled.match(Loaded(frozenset(ids)))
    return filled


async def collected(engine: Any, adapters: AdapterTable) -> dict[str, Metric]:
    metrics = EngineMetrics(engine, adapters, asyncio.get_running_loop(), load_seconds=0.1)
    return {metric.name: metric for metric in await asyncio.to_thread(list, metrics.collect())}


def labels(metric: Metric) -> list[tuple[str, ...]]:
    return [tuple(sample.labels.values()) for sample in metric.samples]


async def test_kernels_that_are_off_and_adapters_of_both_sources_are_named_once(tiny_model):
    info = replace(INFO, adapter=ADAPTER, kernels_off={"lora_rows": "differs"})
    engine = ReadyEngine(FakeBackend(info, FakeArgs(), {}), tiny_model)
    found = await collected(engine, table("models/a", "models/b"))
    assert labels(found["lookaheadkv_kernel_fallback"]) == [("lora_rows",)]
    assert labels(found["lookaheadkv_adapter_loaded"]) == [("registry", "smol", "3"), ("start", "smol", "3")]
    assert found["lookaheadkv_kv_used_ratio"].samples[0].value == 0


@pytest.mark.parametrize("answer", [None, EngineFailed("gone")])
async def test_an_engine_that_does_not_tell_its_load_hides_nothing_else(tiny_model, answer):
    backend = LoadlessBackend(INFO, FakeArgs(), {})
    backend.answer = answer
    found = await collected(ReadyEngine(backend, tiny_model), table())
    assert set(found) == {"lookaheadkv_adapter_loaded", "lookaheadkv_kernel_fallback"}


async def test_before_an_engine_runs_there_is_nothing():
    assert await collected(Engine(), table()) == {}
