"""What is known of one `Generate` call; at its end it becomes a log line and spans."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import structlog
from opentelemetry.trace import Span, SpanKind, Tracer

from protos.generation.v1 import generation_pb2
from services.runtime.backends.base import Finish
from services.runtime.engine_spans import engine_spans
from services.shared.call_facts import call_status
from services.shared.durations import to_seconds
from services.shared.tracing.context import parent_of, trace_id_of
from services.shared.tracing.spans import answer_attributes, end_with_status, finish_reason, request_attributes

OPERATION = "text_completion"

logger = structlog.get_logger()


@dataclass(eq=False)
class CallRecord:
    """Filled while the call goes on; there is no prompt text in it."""

    tracer: Tracer
    span: Span
    started: float = field(default_factory=time.monotonic)
    request_id: str = ""
    model: str = ""
    prompt_tokens: int = 0
    finish: Finish | None = None
    complete: generation_pb2.GenerateComplete | None = None
    answered: bool = False

    @classmethod
    def start(cls, tracer: Tracer, headers: Mapping[str, str]) -> "CallRecord":
        """Of a call that has just arrived with these headers."""
        return cls(tracer, tracer.start_span(OPERATION, parent_of(headers), SpanKind.SERVER))

    def write(self, context: grpc.aio.ServicerContext) -> None:
        """The call is over; for a callback at its end, when its status is known."""
        status = call_status(context, self.answered)
        trace_id = trace_id_of(self.span)
        logger.info(
            "request",
            request_id=self.request_id,
            **({"trace_id": trace_id} if trace_id else {}),
            prompt_tokens=self.prompt_tokens,
            status=status,
            **(_answer(self.complete) if self.complete else {}),
            seconds=round(time.monotonic() - self.started, 6),
        )
        if self.span.is_recording():
            self._end_spans(status)

    def _end_spans(self, status: str) -> None:
        attributes = request_attributes(OPERATION, self.model, self.request_id)
        if self.complete:
            attributes |= answer_attributes(self.complete)
        if self.finish:
            engine_spans(self.tracer, self.span, self.finish)
        self.span.update_name(f"{OPERATION} {self.model}".rstrip())
        end_with_status(self.span, status, attributes)


def _answer(complete: generation_pb2.GenerateComplete) -> dict[str, Any]:
    kv = complete.kv
    adapter = {"adapter": kv.adapter, "adapter_version": kv.adapter_version, "adapter_alias": kv.adapter_alias}
    return {
        "completion_tokens": complete.usage.completion_tokens,
        "finish_reason": finish_reason(complete),
        "policy": kv.policy,
        "budget_tokens": kv.budget_tokens,
        "kept_tokens": kv.kept_tokens,
        "freed_tokens": kv.freed_tokens,
        **(adapter if kv.adapter else {}),
        "queue_seconds": round(to_seconds(kv.queue_time), 6),
        "ttft_seconds": round(to_seconds(kv.ttft), 6),
    }
