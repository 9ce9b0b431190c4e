"""The span of each request, with its decision, and a span for each stage of it."""

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from router.decisions import Placed
from router.request_record import RequestRecord
from services.shared.tracing.context import child_of
from services.shared.tracing.spans import answer_attributes, end_with_status, request_attributes


class RequestSpans:
    """Ends what `Requests` began. A span that is not recorded costs nothing."""

    def started(self, record: RequestRecord) -> None:
        """The span has begun."""

    def finished(self, record: RequestRecord) -> None:
        span = record.span
        if not span.is_recording():
            return
        _stages(record, span)
        span.update_name(f"{record.operation} {record.model}".rstrip())
        end_with_status(span, record.status, _attributes(record))


def _stages(record: RequestRecord, span: Span) -> None:
    parent = child_of(span)
    for stage in record.stages:
        began = record.started_ns + int(1e9 * (stage.began - record.started))
        ended = record.started_ns + int(1e9 * (stage.ended - record.started))
        record.tracer.start_span(stage.name, parent, start_time=began).end(ended)


def _attributes(record: RequestRecord) -> dict[str, AttributeValue]:
    found = request_attributes(record.operation, record.model, record.request_id)
    found |= {
        "lookaheadkv.protocol": record.protocol,
        "lookaheadkv.tenant": record.tenant,
        "lookaheadkv.prompt_tokens": record.prompt_tokens,
        "lookaheadkv.attempts": record.attempts,
    }
    if record.placed:
        found |= _decision(record.placed)
    if record.rejection:
        found["lookaheadkv.rejection"] = record.rejection
    if record.complete:
        found |= answer_attributes(record.complete)
    return found


def _decision(placed: Placed) -> dict[str, AttributeValue]:
    budget, asked = placed.budget, placed.asked.hint_tokens
    found: dict[str, AttributeValue] = {
        "lookaheadkv.budget.rule": budget.rule,
        "lookaheadkv.budget.granted_tokens": budget.tokens,
        "lookaheadkv.budget.reasons": placed.reasons,
        "lookaheadkv.budget.policy_generation": placed.generation,
    }
    if asked is not None:
        found["lookaheadkv.budget.requested_tokens"] = asked
    return found
