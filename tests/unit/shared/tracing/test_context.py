"""A trace passes from headers to headers, and from nobody else."""

import pytest
from opentelemetry.context import attach, detach
from opentelemetry.trace import INVALID_SPAN, NoOpTracer

from services.shared.tracing.context import child_of, headers_of, parent_of, trace_id_of

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1,other=2", "x-else": "1"}


def test_without_a_tracer_headers_pass_on_as_they_came():
    span = NoOpTracer().start_span("request", parent_of(HEADERS))
    assert not span.is_recording()
    assert trace_id_of(span) == TRACE
    assert dict(headers_of(span)) == {name: HEADERS[name] for name in ("traceparent", "tracestate")}


@pytest.mark.parametrize("given", [{}, {"traceparent": ""}, {"traceparent": "00-1-2-3"}, {"tracestate": "vendor=1"}])
def test_without_a_trace_there_is_nothing_to_pass_on(given):
    span = NoOpTracer().start_span("request", parent_of(given))
    assert (trace_id_of(span), headers_of(span)) == ("", ())


def test_a_span_that_happens_to_be_current_is_nobody_s_parent():
    token = attach(parent_of(HEADERS))
    try:
        span = NoOpTracer().start_span("request", parent_of({}))
        assert headers_of(span) == headers_of(INVALID_SPAN) == ()
        assert not NoOpTracer().start_span("part", child_of(span)).get_span_context().is_valid
    finally:
        detach(token)
