"""When there are spans, by the variables that every OpenTelemetry user knows."""

import pytest

from services.shared.settings import load_settings
from services.shared.tracing.settings import TracingSettings

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({}, ""),
        ({ENDPOINT: "http://a:4317"}, "http://a:4317"),
        ({ENDPOINT: "http://a:4317", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:4317"}, "http://b:4317"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4317"),
        ({ENDPOINT: "http://a:4317", "OTEL_TRACES_EXPORTER": "None"}, ""),
        ({ENDPOINT: "http://a:4317", "OTEL_SDK_DISABLED": "TRUE"}, ""),
        # the specification knows no other word for it
        ({ENDPOINT: "http://a:4317", "OTEL_SDK_DISABLED": "1"}, "http://a:4317"),
    ],
)
def test_spans_are_sent_where_the_variables_say(monkeypatch, variables, endpoint):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(TracingSettings)
    assert (settings.endpoint, settings.objection) == (endpoint, "")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER is 'console'; set it to otlp or none"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "is 'http/protobuf'; set it to grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "is 'http/json'; set it to grpc"),
    ],
)
def test_what_is_not_spoken_here_is_named_with_what_is(monkeypatch, variables, sentence):
    for name, value in {ENDPOINT: "http://a:4317", **variables}.items():
        monkeypatch.setenv(name, value)
    assert sentence in load_settings(TracingSettings).objection
