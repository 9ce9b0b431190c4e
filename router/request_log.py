"""One log line per request."""

from typing import Any

import structlog

from router.decisions import Placed
from router.request_record import RequestRecord

logger = structlog.get_logger()


class RequestLog:
    """Says what was asked, what was decided and what became of it; there is no prompt text in it."""

    def started(self, record: RequestRecord) -> None:
        """Nothing is known yet."""

    def finished(self, record: RequestRecord) -> None:
        logger.info(
            "request",
            request_id=record.request_id,
            **_if_any(trace_id=record.trace_id),
            tenant=record.tenant,
            protocol=record.protocol,
            model=record.model,
            **_if_any(adapter=record.adapter),
            prompt_tokens=record.prompt_tokens,
            decision=_decision(record.placed),
            target=record.target,
            attempts=record.attempts,
            status=record.status,
            **_if_any(rejection=record.rejection),
            **_answer(record),
            tokenizing_seconds=round(record.tokenizing_seconds, 6),
            queue_seconds=round(record.queue_seconds, 6),
            own_seconds=round(record.own_seconds, 6),
            seconds=round(record.seconds, 6),
        )


def _decision(placed: Placed | None) -> dict[str, Any] | None:
    if placed is None:
        return None
    asked, budget = placed.asked, placed.budget
    return {
        "rule": budget.rule,
        "requested_tokens": asked.hint_tokens,
        "granted_tokens": budget.tokens,
        "min_retained_mass": budget.min_retained_mass,
        "reasons": placed.reasons,
        "policy_generation": placed.generation,
    }


def _answer(record: RequestRecord) -> dict[str, Any]:
    complete, ttft = record.complete, record.ttft_seconds
    first = {} if ttft is None else {"ttft_seconds": round(ttft, 6)}
    if complete is None:
        return first
    kv = complete.kv
    return {
        "completion_tokens": complete.usage.completion_tokens,
        "policy": kv.policy,
        "kept_tokens": kv.kept_tokens,
        "freed_tokens": kv.freed_tokens,
        **first,
    }


def _if_any(**fields: str) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}
