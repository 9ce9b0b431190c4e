"""The answers of an engine as protobuf messages."""

from protos.generation.v1 import generation_pb2
from scorer.policies import FALLBACK, FULL
from services.runtime.backends.base import EngineOutput, Finish
from services.runtime.eviction import Decision, EvictionPlan, EvictionReport, ScoringDefaults
from services.shared.durations import to_duration

FINISH_REASONS = {
    "stop": generation_pb2.FINISH_REASON_STOP,
    "length": generation_pb2.FINISH_REASON_LENGTH,
    "abort": generation_pb2.FINISH_REASON_ABORT,
}


def join(first: EngineOutput, second: EngineOutput) -> EngineOutput:
    """Both outputs as one."""
    return EngineOutput(first.text + second.text, first.token_ids + second.token_ids, second.finish)


def to_chunk(output: EngineOutput) -> generation_pb2.GenerateResponse:
    """The text and tokens of `output`."""
    chunk = generation_pb2.GenerateChunk(text=output.text, token_ids=output.token_ids)
    return generation_pb2.GenerateResponse(chunk=chunk)


def to_complete(request_id: str, finish: Finish, kv: generation_pb2.KvReport) -> generation_pb2.GenerateResponse:
    """The last message of an answer."""
    complete = generation_pb2.GenerateComplete(
        request_id=request_id,
        finish_reason=FINISH_REASONS[finish.reason],
        matched_stop=finish.matched_stop,
        usage=generation_pb2.Usage(
            prompt_tokens=kv.prompt_tokens,
            completion_tokens=finish.completion_tokens,
            cached_tokens=finish.cached_tokens,
        ),
        kv=kv,
    )
    return generation_pb2.GenerateResponse(complete=complete)


def to_kv_report(
    prompt_tokens: int, decision: Decision, defaults: ScoringDefaults, finish: Finish, ttft_seconds: float
) -> generation_pb2.KvReport:
    """What happened to the KV cache: what was decided, and what the engine made of it."""
    done = finish.eviction or EvictionReport(prompt_tokens, skipped=_unevicted(decision, finish))
    evicted = decision.plan is not None and not done.skipped
    kept = done.kept_tokens if evicted else prompt_tokens
    first = tuple(sentence for sentence in (done.skipped, done.choice, done.replaced) if sentence)
    reasons = (*first, *decision.reasons)
    return generation_pb2.KvReport(
        policy=_policy(decision.plan, done) if decision.plan and evicted else FULL,
        prompt_tokens=prompt_tokens,
        kept_tokens=kept,
        freed_tokens=prompt_tokens - kept,
        budget_tokens=decision.asked_tokens,
        reasons=reasons or ("the router gave no reason",),
        retained_mass=done.retained_mass,
        free_slots_before=done.free_slots_before,
        free_slots_after=done.free_slots_after,
        config_source=defaults.source,
        config_version=defaults.version,
        queue_time=to_duration(finish.queue_seconds),
        prefill_time=to_duration(finish.prefill_seconds),
        scoring_time=to_duration(done.scoring_seconds),
        compaction_time=to_duration(done.compaction_seconds),
        ttft=to_duration(ttft_seconds),
        retractions=finish.retractions,
        adapter=done.adapter,
        adapter_version=done.adapter_version,
        adapter_alias=decision.alias if done.adapter else "",
    )


def _policy(plan: EvictionPlan, done: EvictionReport) -> str:
    return FALLBACK if done.replaced else plan.policy


def _unevicted(decision: Decision, finish: Finish) -> str:
    if decision.plan is None:
        return ""
    return f"the engine ended the request ({finish.reason}) before it evicted anything"
