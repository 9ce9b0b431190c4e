"""Which trace a request belongs to, as W3C headers carry it from process to process."""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.trace import Span, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Headers = tuple[tuple[str, str], ...]

TRACEPARENT = "traceparent"
# given explicitly, so that no span that happens to be current becomes a parent
NO_PARENT = Context()
_W3C = TraceContextTextMapPropagator()


def parent_of(headers: Mapping[str, str]) -> Context:
    """The caller's span, of lower-case headers; no parent where there is none, or a broken one."""
    return _W3C.extract(headers, NO_PARENT) if TRACEPARENT in headers else NO_PARENT


def headers_of(span: Span) -> Headers:
    """What makes the next process go on with the trace of `span`; nothing when it is in none."""
    if not span.get_span_context().is_valid:
        return ()
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, child_of(span))
    return tuple(carrier.items())


def child_of(span: Span) -> Context:
    """The parent context of what happens within `span`."""
    return set_span_in_context(span, NO_PARENT)


def trace_id_of(span: Span) -> str:
    """For the log, 32 hex digits; empty when the span is in no trace."""
    context = span.get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else ""
