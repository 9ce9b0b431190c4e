"""The scorer sidecar's process: builds everything once and serves until it is told to stop."""

import asyncio
from contextlib import AsyncExitStack

import grpc
import structlog

from protos.scorer.v1 import scoring_config_pb2, scoring_config_pb2_grpc
from scorer.config_file import ConfigError
from scorer.config_source import ConfigSource
from scorer.servicer import ScoringConfigServicer
from scorer.settings import ScorerSettings
from services.shared.health import Health
from services.shared.interceptors import ErrorInterceptor, server_options
from services.shared.lifecycle import background, listen, stop_event_on_signals, stop_gracefully
from services.shared.logs import configure_logs
from services.shared.settings import load_settings, refuse_start

logger = structlog.get_logger()

SERVICES = tuple(service.full_name for service in scoring_config_pb2.DESCRIPTOR.services_by_name.values())


async def serve(settings: ScorerSettings) -> None:
    """Serve until a signal. Raises ConfigError when the file cannot be used at the start."""
    stop = stop_event_on_signals()
    source = ConfigSource(settings.config_path)
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor(settings.max_message_bytes)],
        options=server_options(settings.max_message_bytes),
    )
    health = Health(server, SERVICES, reflect=settings.reflection)
    scoring_config_pb2_grpc.add_ScoringConfigServiceServicer_to_server(ScoringConfigServicer(source), server)
    async with AsyncExitStack() as stack:
        port = await listen(server, settings.host, settings.port)
        await health.alive()
        logger.info("listening", host=settings.host, port=port)
        await stack.enter_async_context(background(source.follow()))
        stack.push_async_callback(stop_gracefully, server, health, settings.shutdown_grace_seconds)
        # a watch never ends by itself
        stack.callback(source.close)
        await health.ready()
        logger.info("ready", config_path=str(settings.config_path))
        await stop.wait()


def main() -> None:
    settings = load_settings(ScorerSettings)
    configure_logs(settings.log_level)
    try:
        asyncio.run(serve(settings))
    except ConfigError as error:
        refuse_start(f"SCORER_CONFIG_PATH: {error}")


if __name__ == "__main__":
    main()
