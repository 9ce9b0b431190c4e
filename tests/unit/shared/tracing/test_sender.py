"""A provider of our own, beside whatever else uses OpenTelemetry in the same process."""

import logging

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider
from structlog.testing import capture_logs

from services.shared.tracing.sender import SpanSender, TellingExporter, ToldOnce, WrongTracing
from tests.collector import Collector, running_collector


@pytest.fixture
def collector(monkeypatch):
    with running_collector() as (found, endpoint):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        yield found


def sent(collector: Collector, service: str) -> set[str]:
    """Names of the process that spans carry, all of which are there at the end."""
    sender = SpanSender(service)
    for _ in range(3):
        sender.tracer.start_span("work").end()
    sender.close()
    assert len(collector.spans) == 3
    return {span.service for span in collector.spans}


def test_everything_is_sent_before_the_end(collector):
    assert sent(collector, "mine") == {"mine"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_SERVICE_NAME", "theirs"), ("OTEL_RESOURCE_ATTRIBUTES", "service.name=theirs,zone=a")],
)
def test_an_operator_s_name_of_the_process_wins(collector, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert sent(collector, "mine") == {"theirs"}


def test_neither_the_global_provider_nor_the_log_of_others_is_ours(collector):
    library = logging.getLogger("opentelemetry")
    before = (library.propagate, list(library.handlers))
    sender = SpanSender("mine")
    assert isinstance(get_tracer_provider(), ProxyTracerProvider)
    sender.close()
    assert isinstance(get_tracer_provider(), ProxyTracerProvider)
    assert (library.propagate, list(library.handlers)) == before


def test_what_the_sdk_refuses_is_one_error(collector, monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with pytest.raises(WrongTracing, match="max_queue_size must be a positive integer"):
        SpanSender("mine")


class Exporter(SpanExporter):
    """Succeeds, or not."""

    result = SpanExportResult.FAILURE

    def export(self, spans):
        return self.result

    def shutdown(self):
        self.result = SpanExportResult.FAILURE


def test_trouble_is_told_once_until_it_is_over():
    told, exporter = ToldOnce(), Exporter()
    telling = TellingExporter(exporter, told)
    told.listen()
    try:
        with capture_logs() as lines:
            for name in ("exporter", "exporter", "sdk"):
                logging.getLogger(f"opentelemetry.{name}").warning("no %s", "way")
                telling.export([])
            exporter.result = SpanExportResult.SUCCESS
            telling.export([])
            telling.export([])
            logging.getLogger("opentelemetry.exporter").warning("again")
    finally:
        told.leave()
    said = [(line["event"], line.get("problem"), line.get("source")) for line in lines]
    assert said == [
        ("tracing", "no way", "opentelemetry.exporter"),
        ("tracing", "no way", "opentelemetry.sdk"),
        ("traces are delivered again", None, None),
        ("tracing", "again", "opentelemetry.exporter"),
    ]
