"""The runtime process: builds everything once, serves until it is told to stop or its engine dies."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import grpc
import structlog
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from protos.runtime.v1 import runtime_pb2, runtime_pb2_grpc
from services.runtime.adapter_client import AdapterClient
from services.runtime.adapter_split import DEFAULT_ALIAS
from services.runtime.adapter_table import AdapterTable
from services.runtime.backends.base import EngineFailed, ModelInfo
from services.runtime.calls import Calls
from services.runtime.engine import Engine
from services.runtime.engine_metrics import EngineMetrics
from services.runtime.eviction import ScoringDefaults
from services.runtime.metrics import RequestMetrics
from services.runtime.scorer_client import ScorerClient
from services.runtime.scoring_metrics import scoring_metrics
from services.runtime.servicer import GenerationServicer, RuntimeServicer
from services.runtime.settings import RuntimeSettings
from services.shared.health import Health
from services.shared.interceptors import ErrorInterceptor, server_options
from services.shared.lifecycle import background, listen, stop_event_on_signals, stop_gracefully
from services.shared.logs import configure_logs
from services.shared.metrics import LoopCollector, metrics_served
from services.shared.settings import load_settings
from services.shared.tracing.sending import traces_sent
from services.shared.tracing.settings import TracingSettings

logger = structlog.get_logger()

SERVICES = tuple(
    service.full_name for file in (generation_pb2, runtime_pb2) for service in file.DESCRIPTOR.services_by_name.values()
)
SCORING_FLAG = "scoring-config"
ADAPTER_FLAG = "adapter"
KERNELS_FLAG = "kernels"
# of the process, in traces
SERVICE = "lookaheadkv-runtime"


class Runtime:
    """The parts of the process and how they hang together."""

    def __init__(self, settings: RuntimeSettings, tracer: Tracer) -> None:
        self.settings = settings
        self.engine = Engine()
        self.calls = Calls(settings.coalesce_seconds)
        self.scorer = ScorerClient(settings.scorer_target, self._show_scoring)
        self.table = AdapterTable(settings.adapter_bytes)
        self.adapters = AdapterClient(settings.scorer_target, self.table, self._show_adapter)
        self.server = grpc.aio.server(
            interceptors=[ErrorInterceptor(settings.max_message_bytes, settings.write_seconds)],
            options=server_options(settings.max_message_bytes),
        )
        self.health = Health(self.server, SERVICES, reflect=settings.reflection)
        self.metrics = CollectorRegistry()
        generation = GenerationServicer(
            settings,
            self.engine,
            self.calls,
            lambda: self.scorer.defaults,
            self.table,
            RequestMetrics(self.metrics).finished,
            tracer,
        )
        runtime = RuntimeServicer(self.engine, self.calls, self.health, self.table)
        generation_pb2_grpc.add_GenerationServiceServicer_to_server(generation, self.server)
        runtime_pb2_grpc.add_RuntimeServiceServicer_to_server(runtime, self.server)

    async def serve(self) -> int:
        """The exit code: 0 after a signal, 1 when the engine died."""
        stop = stop_event_on_signals()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.engine.close)
            loop, scoring = asyncio.get_running_loop(), partial(scoring_metrics, lambda: self.scorer.defaults)
            self.metrics.register(EngineMetrics(self.engine, self.table, loop))
            self.metrics.register(LoopCollector(loop, scoring))
            await stack.enter_async_context(
                metrics_served(self.metrics, self.settings.host, self.settings.metrics_port)
            )
            port = await listen(self.server, self.settings.host, self.settings.port)
            await self.health.alive()
            await self.health.flag(SCORING_FLAG, ok=False)
            logger.info("listening", host=self.settings.host, port=port)
            life = await stack.enter_async_context(background(self._run_engine()))
            stopped = await stack.enter_async_context(background(stop.wait()))
            stack.push_async_callback(self._stop)
            await asyncio.wait([life, stopped], return_when=asyncio.FIRST_COMPLETED)
            return 1 if life.done() else 0

    async def _run_engine(self) -> None:
        """Returns when a running engine has died."""
        try:
            running = await self.engine.start(self.settings)
        except EngineFailed as error:
            logger.error("engine did not start", reason=str(error))
            await self.health.not_ready(str(error))
            # ending here would restart the process over and over, and hide the sentence
            await asyncio.Event().wait()
            return
        info = running.backend.info
        await self._show_scorer(info)
        async with background(self.scorer.follow(info.fingerprint)), background(self.adapters.follow(running.backend)):
            await self.health.ready()
            logger.info("ready", model=info.model, fingerprint=info.fingerprint, policies=info.policies)
            sentence = await self.engine.wait_dead()
            logger.error("engine died", reason=sentence)
            await self.health.leave(sentence)
            self.calls.end_all(sentence)

    async def _stop(self) -> None:
        await stop_gracefully(self.server, self.health, self.settings.shutdown_grace_seconds, self.calls.drain())

    async def _show_scorer(self, info: ModelInfo) -> None:
        """What prompts are scored with until the registry has something else."""
        if info.adapter:
            logger.info("adapter", name=info.adapter.name, version=info.adapter.version, sha256=info.adapter.sha256)
        else:
            logger.warning("no adapter, window in place of lookahead and fused", reason=info.adapter_problem)
        for name, why in info.kernels_off.items():
            logger.error("kernel off for good, its torch reference runs instead", kernel=name, why=why)
        await self._show_adapter()
        await self.health.flag(KERNELS_FLAG, ok=not info.kernels_off)

    async def _show_adapter(self) -> None:
        """Whether requests that name no adapter have one."""
        start = self.engine.running().backend.info.start_adapter
        await self.health.flag(ADAPTER_FLAG, ok=self.table.choose(DEFAULT_ALIAS, start).info is not None)

    async def _show_scoring(self, defaults: ScoringDefaults) -> None:
        await self.health.flag(SCORING_FLAG, ok=defaults.source == "scorer")


async def serve(settings: RuntimeSettings, tracing: TracingSettings) -> int:
    """The exit code of a runtime with these settings."""
    async with traces_sent(tracing, SERVICE) as tracer:
        return await Runtime(settings, tracer).serve()


def main() -> None:
    settings = load_settings(RuntimeSettings)
    configure_logs(settings.log_level, beside=True)
    raise SystemExit(asyncio.run(serve(settings, load_settings(TracingSettings))))


if __name__ == "__main__":
    main()
