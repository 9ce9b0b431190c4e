"""An answer's counts and its report on the KV cache, as `usage`."""

from typing import Any

from protos.generation.v1 import generation_pb2
from router.http.answers import KvUsage, PromptTokensDetails, Usage
from services.shared.durations import to_seconds


def usage_of(complete: generation_pb2.GenerateComplete) -> Usage:
    """The counts, and the whole report on the KV cache."""
    usage = complete.usage
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=usage.cached_tokens),
        kv=_kv(complete.kv, complete.decision),
    )


def _kv(kv: generation_pb2.KvReport, decision: generation_pb2.BudgetDecision) -> KvUsage:
    return KvUsage(
        policy=kv.policy,
        budget_tokens=kv.budget_tokens,
        kept_tokens=kv.kept_tokens,
        freed_tokens=kv.freed_tokens,
        retained_mass=_present(kv, "retained_mass"),
        reasons=list(kv.reasons),
        adapter=kv.adapter,
        adapter_version=kv.adapter_version,
        adapter_alias=kv.adapter_alias,
        config_source=kv.config_source,
        config_version=kv.config_version,
        free_slots_before=kv.free_slots_before,
        free_slots_after=kv.free_slots_after,
        retractions=kv.retractions,
        queue_ms=_ms(kv.queue_time),
        prefill_ms=_ms(kv.prefill_time),
        scoring_ms=_ms(kv.scoring_time),
        compaction_ms=_ms(kv.compaction_time),
        ttft_ms=_ms(kv.ttft),
        tenant=decision.tenant,
        rule=decision.rule,
        requested_tokens=_present(decision, "requested_tokens"),
        granted_tokens=decision.granted_tokens,
        policy_generation=decision.policy_generation,
        predicted_ttft_ms=_ms(_present(decision, "predicted_ttft")),
        predicted_tpot_ms=_ms(_present(decision, "predicted_tpot")),
    )


def _present(message: Any, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _ms(duration: Any) -> Any:
    return None if duration is None else 1000 * to_seconds(duration)
