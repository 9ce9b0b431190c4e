"""The scorer sidecar's process: builds everything once and serves until it is told to stop."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import structlog
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from protos.scorer.v1 import (
    adapter_feed_pb2,
    adapter_feed_pb2_grpc,
    adapter_registry_pb2,
    adapter_registry_pb2_grpc,
    scoring_config_pb2,
    scoring_config_pb2_grpc,
)
from scorer.adapters.cache import AdapterCache
from scorer.config_file import ConfigError
from scorer.config_source import ConfigSource
from scorer.metrics import CacheMetrics, config_metrics, registry_metrics
from scorer.registry.collecting import collect_for_ever
from scorer.registry.connection import StoreConnection
from scorer.registry.feed import AdapterFeeds
from scorer.registry.feed_servicer import AdapterFeedServicer
from scorer.registry.servicer import AdapterRegistryServicer
from scorer.servicer import ScoringConfigServicer
from scorer.settings import ScorerSettings
from services.shared.health import Health
from services.shared.interceptors import ErrorInterceptor, server_options
from services.shared.lifecycle import background, listen, stop_event_on_signals, stop_gracefully
from services.shared.logs import configure_logs
from services.shared.metrics import LoopCollector, metrics_served
from services.shared.redis.options import RedisOptions
from services.shared.settings import load_settings, refuse_start
from services.shared.tracing.sending import traces_sent
from services.shared.tracing.settings import TracingSettings

logger = structlog.get_logger()

SERVICES = tuple(
    service.full_name
    for file in (scoring_config_pb2, adapter_feed_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
# of the process, in traces
SERVICE = "lookaheadkv-scorer"
(REGISTRY,) = (service.full_name for service in adapter_registry_pb2.DESCRIPTOR.services_by_name.values())


async def serve(settings: ScorerSettings, tracing: TracingSettings) -> None:
    """Serve until a signal. Raises ConfigError when the file cannot be used at the start."""
    stop = stop_event_on_signals()
    source = ConfigSource(settings.config_path)
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor(settings.max_message_bytes)],
        options=server_options(settings.max_message_bytes),
    )
    health = Health(server, SERVICES, reflect=settings.reflection, apart=(REGISTRY,))
    adapters = StoreConnection(redis_options(settings), partial(health.flag, REGISTRY))
    scoring_config_pb2_grpc.add_ScoringConfigServiceServicer_to_server(ScoringConfigServicer(source), server)
    adapter_registry_pb2_grpc.add_AdapterRegistryServiceServicer_to_server(AdapterRegistryServicer(adapters), server)
    async with AsyncExitStack() as stack:
        tracer = await stack.enter_async_context(traces_sent(tracing, SERVICE))
        cache = adapter_cache(settings, stack, tracer)
        feeds = AdapterFeeds(adapters, cache, settings.main_adapter, settings.adapter_poll_seconds)
        adapter_feed_pb2_grpc.add_AdapterFeedServiceServicer_to_server(AdapterFeedServicer(adapters, feeds), server)
        stack.push_async_callback(feeds.close)
        metrics = scorer_metrics(source, cache, adapters, feeds)
        await stack.enter_async_context(metrics_served(metrics, settings.host, settings.metrics_port))
        port = await listen(server, settings.host, settings.port)
        await health.alive()
        logger.info("listening", host=settings.host, port=port)
        await stack.enter_async_context(background(source.follow()))
        await stack.enter_async_context(background(adapters.follow()))
        if settings.redis_url:
            work = collect_for_ever(adapters, settings.collect_grace_seconds, settings.collect_every_seconds)
            await stack.enter_async_context(background(work))
        stack.push_async_callback(stop_gracefully, server, health, settings.shutdown_grace_seconds)
        # a watch never ends by itself
        stack.callback(source.close)
        stack.callback(adapters.close)
        await health.ready()
        logger.info("ready", config_path=str(settings.config_path))
        await stop.wait()


def scorer_metrics(
    source: ConfigSource, cache: AdapterCache, connection: StoreConnection, feeds: AdapterFeeds
) -> CollectorRegistry:
    """What Prometheus may read of this process."""
    registry = CollectorRegistry()
    registry.register(CacheMetrics(cache))
    sources = (partial(config_metrics, source), partial(registry_metrics, connection, feeds))
    registry.register(LoopCollector(asyncio.get_running_loop(), *sources))
    return registry


def adapter_cache(settings: ScorerSettings, stack: AsyncExitStack, tracer: Tracer) -> AdapterCache:
    """Where fetched adapters lie; a folder that nobody named lasts as long as `stack`."""
    root = settings.adapter_cache_path or Path(stack.enter_context(TemporaryDirectory(prefix="lookaheadkv-adapters-")))
    return AdapterCache(root, settings.adapter_cache_bytes, tracer)


def redis_options(settings: ScorerSettings) -> RedisOptions | None:
    """Where adapters lie, None when there is no registry. Exits with a sentence when the URL is wrong."""
    if not settings.redis_url:
        return None
    password = settings.redis_password.get_secret_value() if settings.redis_password else None
    ca_file = str(settings.redis_ca_file) if settings.redis_ca_file else None
    try:
        return RedisOptions(settings.redis_url, settings.redis_username, password, ca_file)
    except ValueError as error:
        refuse_start(f"SCORER_REDIS_URL: {error}")


def main() -> None:
    settings = load_settings(ScorerSettings)
    configure_logs(settings.log_level, beside=True)
    try:
        asyncio.run(serve(settings, load_settings(TracingSettings)))
    except ConfigError as error:
        refuse_start(f"SCORER_CONFIG_PATH: {error}")


if __name__ == "__main__":
    main()
