"""A decision about a request's KV: what the rules are asked, what the runtime is told, and what the client is."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from protos.generation.v1 import generation_pb2
from router.budgets import NO_RULE
from router.budgets.base import FULL, Budget, BudgetRequest, Slo
from router.budgets.limits import Limits
from services.shared.durations import to_duration
from services.shared.generation import GenerateCall, Hint, SloHint

CAPPED = (
    "policy full would keep the whole prompt, which is more than is allowed here; the default policy keeps the rest"
)


@dataclass(frozen=True)
class Placed:
    """A request's budget on the replica that was picked; `generation` is that of the policies it came from."""

    tenant: str
    asked: BudgetRequest
    budget: Budget
    generation: int

    @property
    def reasons(self) -> tuple[str, ...]:
        """The deciding one first."""
        return (*self.budget.reasons, CAPPED) if self.overrules_full else self.budget.reasons

    @property
    def overrules_full(self) -> bool:
        """Whether the client wants the whole prompt kept, and may not have it."""
        return self.asked.hint_policy == FULL and self.budget.tokens < self.asked.prompt_tokens


def budget_request(hint: Hint, slo: SloHint, limits: Limits, prompt_tokens: int, new_tokens: int) -> BudgetRequest:
    """What the rules may look at, before a replica is picked."""
    return BudgetRequest(
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        limits=limits,
        hint_policy=hint.policy,
        hint_budget_tokens=hint.budget_tokens,
        hint_keep_ratio=hint.keep_ratio,
        hint_min_retained_mass=hint.min_retained_mass,
        slo=Slo(slo.ttft, slo.tpot),
    )


def forwarded_request(
    request: generation_pb2.GenerateRequest, call: GenerateCall, prompt_ids: Sequence[int], placed: Placed
) -> generation_pb2.GenerateRequest:
    """The request for the runtime, with what it is to keep."""
    budget = placed.budget
    directive = generation_pb2.KvDirective(
        policy="" if placed.overrules_full else call.kv.policy,
        budget_tokens=None if budget.rule == NO_RULE else budget.tokens,
        reasons=placed.reasons,
        adapter=call.kv.adapter,
        split_key=call.kv.split_key,
        min_retained_mass=budget.min_retained_mass,
        shared_aliases=placed.asked.limits.shared_aliases,
    )
    forwarded = generation_pb2.GenerateRequest(
        request_id=call.request_id, model=request.model, sampling=request.sampling, directive=directive
    )
    # filled in place, because a message that is passed in is copied; from a message it is a copy of bytes
    forwarded.token_ids.ids.extend(request.token_ids.ids if call.text is None else prompt_ids)
    return forwarded


def decision_message(placed: Placed, queue_seconds: float | None = None) -> generation_pb2.BudgetDecision:
    """The decision as the client sees it. One that is only explained has waited for nothing."""
    asked, budget = placed.asked, placed.budget
    return generation_pb2.BudgetDecision(
        tenant=placed.tenant,
        requested_tokens=asked.hint_tokens,
        granted_tokens=budget.tokens,
        rule=budget.rule,
        reasons=placed.reasons,
        policy_generation=placed.generation,
        queue_time=None if queue_seconds is None else to_duration(queue_seconds),
        **_predicted(asked, budget.tokens),
    )


def _predicted(asked: BudgetRequest, granted_tokens: int) -> dict[str, Duration]:
    """What the replica's latency model expects."""
    replica = asked.replica
    if replica is None:
        return {}
    resident = replica.resident_tokens + granted_tokens + asked.new_tokens
    tpot_seconds = replica.tpot_base_seconds + replica.tpot_token_seconds * resident
    return {"predicted_ttft": to_duration(replica.ttft_seconds), "predicted_tpot": to_duration(tpot_seconds)}
