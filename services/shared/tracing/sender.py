"""OpenTelemetry's SDK, set up so that a collector that is away costs a line of the log and nothing else."""

import logging
import threading
from collections.abc import Sequence

import structlog
from opentelemetry.exporter.otlp.proto.grpc.exporter import InvalidCompressionValueException
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

logger = structlog.get_logger()

# spans that are still here when the process ends may take so long
CLOSE_SECONDS = 2.0
# the SDK's name for a process that was given none
NAMELESS = "unknown_service"
# what the SDK and the exporter call their loggers
LIBRARY = "opentelemetry"


class WrongTracing(Exception):
    """A variable of OpenTelemetry's has a value that its SDK refuses. The message is the SDK's."""


class SpanSender:
    """A tracer provider of our own. It is never OpenTelemetry's global one: that is for SGLang, and for libraries."""

    def __init__(self, service: str) -> None:
        """Connects to nothing yet. Raises WrongTracing."""
        self._told = ToldOnce()
        try:
            self._exporter = TellingExporter(OTLPSpanExporter(), self._told)
            self._provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        except (ValueError, RuntimeError, InvalidCompressionValueException) as error:
            raise WrongTracing(str(error)) from error
        self._told.listen()
        self.tracer = self._provider.get_tracer("lookaheadkv")
        self.sampler = self._provider.sampler.get_description()

    def close(self) -> None:
        """Send what is left, for CLOSE_SECONDS at most."""
        # without it a collector that is away would hold up the end for half a minute
        impatience = threading.Timer(CLOSE_SECONDS, self._exporter.shutdown)
        impatience.start()
        self._provider.shutdown()
        impatience.cancel()
        self._told.leave()


class ToldOnce(logging.Handler):
    """Each part of OpenTelemetry that complains is logged once, until spans are delivered again."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._logger = logging.getLogger(LIBRARY)
        self._said: set[str] = set()

    def listen(self) -> None:
        """From now on; what the library says goes nowhere else."""
        self._logger.addHandler(self)
        self._logger.propagate = False

    def leave(self) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        if record.name not in self._said:
            self._said.add(record.name)
            logger.warning("tracing", problem=record.getMessage(), source=record.name, exc_info=record.exc_info)

    def delivered(self) -> None:
        """Spans have reached the collector."""
        if self._said:
            self._said.clear()
            logger.info("traces are delivered again")


class TellingExporter(SpanExporter):
    """Another exporter, whose success is told."""

    def __init__(self, exporter: SpanExporter, told: ToldOnce) -> None:
        self._exporter = exporter
        self._told = told
        self._over = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._told.delivered()
        return result

    def shutdown(self) -> None:
        """End whatever is being tried, and try nothing more."""
        if not self._over:
            self._over = True
            self._exporter.shutdown()


def _resource(service: str) -> Resource:
    """What the variables say of this process, and its name where they do not."""
    found = Resource.create()
    if str(found.attributes[SERVICE_NAME]).startswith(NAMELESS):
        return found.merge(Resource({SERVICE_NAME: service}))
    return found
