"""What the engine is doing when somebody looks: its load, its adapters, its kernels, and series of its own."""

import asyncio
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.runtime.adapter_table import AdapterTable
from services.runtime.backends.base import Backend, EngineFailed, Load
from services.runtime.engine import Engine
from services.shared.errors import ServiceError

# a scrape should not wait for an engine that hangs
LOAD_SECONDS = 2.0


class EngineMetrics(Collector):
    """Asks on `loop`, from whichever thread is scraped. Nothing while no engine runs."""

    def __init__(
        self,
        engine: Engine,
        table: AdapterTable,
        loop: asyncio.AbstractEventLoop,
        load_seconds: float = LOAD_SECONDS,
    ) -> None:
        self._load_seconds = load_seconds
        self._engine = engine
        self._table = table
        self._loop = loop

    def collect(self) -> Iterator[Metric]:
        try:
            backend = self._engine.running().backend
        except ServiceError:
            return
        load = self._load(backend)
        if load:
            yield from _load_metrics(load)
        yield self._adapters(backend)
        kernels = GaugeMetricFamily(
            "lookaheadkv_kernel_fallback", "1 for a kernel that is off, so that its reference runs.", labels=["kernel"]
        )
        for kernel in backend.info.kernels_off:
            kernels.add_metric([kernel], 1)
        yield kernels
        yield from backend.metrics()

    def _load(self, backend: Backend) -> Load | None:
        asked = asyncio.run_coroutine_threadsafe(backend.load(), self._loop)
        try:
            return asked.result(self._load_seconds)
        except (TimeoutError, EngineFailed):
            asked.cancel()
            return None

    def _adapters(self, backend: Backend) -> Metric:
        held = {("registry", adapter.info) for adapter in self._table.held}
        if backend.info.adapter:
            held.add(("start", backend.info.adapter))
        labels = {(source, info.name, str(info.version)) for source, info in held}
        metric = GaugeMetricFamily(
            "lookaheadkv_adapter_loaded",
            "1 for an adapter that the engine holds, since its start or from the registry.",
            labels=["source", "adapter", "version"],
        )
        for values in sorted(labels):
            metric.add_metric(values, 1)
        return metric


def _load_metrics(load: Load) -> Iterator[Metric]:
    used = load.total_slots - load.free_slots
    yield GaugeMetricFamily("lookaheadkv_requests_running", "Requests in the batch.", load.running_requests)
    yield GaugeMetricFamily("lookaheadkv_requests_queued", "Requests that wait for the batch.", load.queued_requests)
    yield GaugeMetricFamily("lookaheadkv_resident_kv_tokens", "Slots that a new request could not use.", used)
    ratio = used / load.total_slots if load.total_slots else 0.0
    yield GaugeMetricFamily("lookaheadkv_kv_used_ratio", "The same as a share of all slots.", ratio)
