"""A process's spans on their way to the collector."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from opentelemetry.trace import NoOpTracer, Tracer

from services.shared.tracing.settings import TracingSettings

logger = structlog.get_logger()


@asynccontextmanager
async def traces_sent(settings: TracingSettings, service: str) -> AsyncIterator[Tracer]:
    """The tracer of this process for as long as the block lasts; one that does nothing where nobody wants spans.

    `service` is the process's name unless OpenTelemetry's variables have another. Settings that cannot be used are
    logged, and there are no spans then.
    """
    endpoint, objection = settings.endpoint, settings.objection
    if not endpoint or objection:
        if objection:
            logger.warning("traces are off", reason=objection)
        yield NoOpTracer()
        return
    # the SDK takes a while to load, and hardly any process needs it
    from services.shared.tracing.sender import SpanSender, WrongTracing

    try:
        sender = await asyncio.to_thread(SpanSender, service)
    except WrongTracing as error:
        logger.warning("traces are off", reason=str(error))
        yield NoOpTracer()
        return
    logger.info("traces", endpoint=endpoint, sampler=sender.sampler)
    try:
        yield sender.tracer
    finally:
        await asyncio.to_thread(sender.close)
