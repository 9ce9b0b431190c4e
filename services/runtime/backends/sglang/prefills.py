"""The prefills that end in a step, and what their requests' policies need to look at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
import torch

from scorer.policies import FALLBACK, load_policy
from scorer.policies.base import Policy
from services.runtime.adaptive import possible_budgets
from services.runtime.backends.sglang.adapter import Adapters, LoadedAdapter, adapters_of
from services.runtime.backends.sglang.report import PendingReport, Stopwatch
from services.runtime.backends.sglang.request_state import RequestState, state_of
from services.runtime.eviction import EvictionPlan, adapter_gone

logger = structlog.get_logger()


@dataclass
class Job:
    """One request whose last prefill chunk ran in this step; `index` is its place in the batch.

    `budgets` in whole pages, ascending: several where the mass that each would retain decides. `adapter` is the one
    whose lookahead rows the policy asks for, None when it asks for none.
    """

    index: int
    req: Any
    state: RequestState
    policy: Policy
    budgets: tuple[int, ...]
    adapter: LoadedAdapter | None

    @property
    def prompt_tokens(self) -> int:
        return len(self.req.origin_input_ids)


class CannotScore(Exception):
    """A prompt that its policy cannot look at. The message says why."""


def take_first_tokens(batch: Any, next_token_ids: torch.Tensor) -> None:
    """Remember the first token of each prefill that ends here; `next_token_ids` [B] are on the device.

    A request that resumes after a retraction gets its own last token instead of a newly sampled one, in place.
    """
    for index, req in enumerate(batch.reqs):
        state = state_of(req)
        if state is None or not _prefill_is_complete(req, state):
            continue
        if state.replay:
            next_token_ids[index] = state.replay[-1]
        state.first_token = next_token_ids[index : index + 1]


def finished_prefills(scheduler: Any, batch: Any) -> Iterator[Job]:
    """A job for each request of `batch` that has a plan and has just been prefilled to the end.

    A prompt that its policy cannot look at stays whole and says why.
    """
    page, adapters = scheduler.token_to_kv_pool_allocator.page_size, adapters_of(scheduler)
    for index, req in enumerate(batch.reqs):
        state = state_of(req)
        if state is None or not _prefill_is_complete(req, state):
            continue
        current = _adapter(state, adapters)
        try:
            policy = _policy(state.plan, current)
            budgets = _budgets(state.plan, len(req.origin_input_ids), page)
            # a choice that was made before a retraction stands, whatever could be scored now
            if state.kept is None:
                _check_rows(state, policy, len(req.origin_input_ids), current)
        except CannotScore as error:
            keep_whole(req, state, str(error))
            continue
        yield Job(index, req, state, policy, budgets, current if policy.rows.lookahead else None)


def by_adapter(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs that can share a pass: LoRA of one adapter acts on it. Those without an adapter go with the first."""
    first = next((job.adapter for job in jobs if job.adapter), None)
    groups: dict[int, list[Job]] = {}
    for job in jobs:
        groups.setdefault(id(job.adapter or first), []).append(job)
    return list(groups.values())


def keep_whole(req: Any, state: RequestState, why: str) -> None:
    """Settle this prefill without evicting anything, against the plan; log and report say why."""
    settle_whole(req, state, why)
    logger.warning("KV kept whole", request_id=req.rid, why=why)


def settle_whole(req: Any, state: RequestState, why: str, scoring: Stopwatch | None = None) -> None:
    """Settle this prefill without evicting anything, as the plan allows; the report says why."""
    state.settled, state.first_token = True, None
    state.pending = PendingReport(len(req.origin_input_ids), scoring=scoring, skipped=why)


def _prefill_is_complete(req: Any, state: RequestState) -> bool:
    ended = req.finished() or req.to_finish is not None or req.is_retracted
    return not state.settled and not ended and not req.output_ids and req.extend_end == len(req.origin_input_ids)


def _policy(plan: EvictionPlan, adapter: LoadedAdapter | None) -> Policy:
    """The plan's parameters win over those that the adapter was calibrated with."""
    calibrated = adapter.policy_params(plan.policy) if adapter else {}
    try:
        return load_policy(plan.policy)(**{**calibrated, **plan.params})
    except (KeyError, TypeError, ValueError) as error:
        raise CannotScore(f"policy {plan.policy!r} cannot be used: {error}") from error


def _adapter(state: RequestState, adapters: Adapters) -> LoadedAdapter | None:
    """The adapter of the plan; when it was unloaded since the request came, `window` takes the place of its policy."""
    adapter, plan = adapters.find(state.plan.adapter), state.plan
    # a choice that was made before a retraction needs no adapter
    if adapter is None and plan.adapter and state.kept is None:
        state.replaced = adapter_gone(plan)
        state.plan = replace(plan, policy=FALLBACK, params={}, adapter="")
        logger.warning("adapter is gone", why=state.replaced)
    return adapter


def _budgets(plan: EvictionPlan, prompt_tokens: int, page: int) -> tuple[int, ...]:
    budgets = possible_budgets(plan, prompt_tokens, page)
    if not budgets:
        raise CannotScore(f"the budget in whole pages of {page} leaves nothing to evict")
    return budgets


def _check_rows(state: RequestState, policy: Policy, prompt_tokens: int, adapter: LoadedAdapter | None) -> None:
    if policy.rows.lookahead and adapter is None:
        raise CannotScore(f"policy {state.plan.policy!r} needs an adapter, and there is none")
    if policy.rows.window >= prompt_tokens:
        raise CannotScore(f"the prompt is not longer than the window of {policy.rows.window} tokens")
    if policy.rows.first_token and state.first_token is None:
        raise CannotScore("the first token was not sampled in the step of the prefill")
