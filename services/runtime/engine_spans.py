"""What the engine did for a request, as spans: it says when, and this process tells the collector."""

from opentelemetry.trace import Span, Tracer
from opentelemetry.util.types import AttributeValue

from services.runtime.backends.base import Finish
from services.runtime.eviction import EvictionReport
from services.shared.tracing.context import child_of


def engine_spans(tracer: Tracer, request: Span, finish: Finish) -> None:
    """Spans within that of the request: queue, prefill, score and compact, as far as they took place."""
    began = finish.prefill_began
    _span(tracer, request, "queue", began, finish.queue_seconds)
    _span(tracer, request, "prefill", began + finish.prefill_seconds if began else 0.0, finish.prefill_seconds)
    if done := finish.eviction:
        _span(tracer, request, "score", done.scoring_ended, done.scoring_seconds, _scored(done))
        _span(tracer, request, "compact", done.compaction_ended, done.compaction_seconds, _compacted(done))


def _span(
    tracer: Tracer,
    request: Span,
    name: str,
    ended: float,
    seconds: float,
    attributes: dict[str, AttributeValue] | None = None,
) -> None:
    """Of a time that is over, in seconds since the epoch; none when the engine does not know it."""
    if ended:
        span = tracer.start_span(name, child_of(request), attributes=attributes, start_time=_ns(ended - seconds))
        span.end(_ns(ended))


def _scored(done: EvictionReport) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    if done.adapter:
        found |= {"lookaheadkv.adapter.name": done.adapter, "lookaheadkv.adapter.version": done.adapter_version}
    if done.retained_mass is not None:
        found["lookaheadkv.kv.retained_mass"] = done.retained_mass
    return found


def _compacted(done: EvictionReport) -> dict[str, AttributeValue]:
    return {
        "lookaheadkv.kv.kept_tokens": done.kept_tokens,
        "lookaheadkv.kv.free_slots_before": done.free_slots_before,
        "lookaheadkv.kv.free_slots_after": done.free_slots_after,
    }


def _ns(seconds: float) -> int:
    return int(1e9 * seconds)
