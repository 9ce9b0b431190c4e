"""The end of a prefill: score the prompts that finished in this step, choose, compact, report."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
import torch
from safetensors.torch import save_file
from sglang.srt.managers.schedule_batch import FINISH_ABORT

from scorer.policies import load_policy
from scorer.policies.base import Observation, Policy
from scorer.selection import retained_mass, select
from services.runtime.backends.sglang.report import PendingReport, Stopwatch
from services.runtime.backends.sglang.request_state import PARAMS_KEY, RequestState, state_of
from services.runtime.backends.sglang.side_pass import RowGroup, run_side_pass
from services.runtime.backends.sglang.slots import compact, free_slots, on_forward_stream, prompt_slots

logger = structlog.get_logger()

# bounds the scratch of a replay, which needs [Hq, rows, context] floats at a time
REPLAY_ROWS = 256


@dataclass
class Job:
    """One request whose last prefill chunk ran in this step; `index` is its place in the batch."""

    index: int
    req: Any
    state: RequestState
    policy: Policy
    budget_tokens: int

    @property
    def prompt_tokens(self) -> int:
        return len(self.req.origin_input_ids)


def evict_finished_prefills(scheduler: Any, batch: Any) -> None:
    """Compact every request of `batch` that has a plan and has just been prefilled to the end.

    A prompt that cannot be scored, or for whose kept tokens there is no room, stays whole and says why.
    """
    jobs = list(_jobs(scheduler, batch))
    if not jobs:
        return
    with on_forward_stream(scheduler):
        seq_lens, seq_lens_cpu = batch.seq_lens.clone(), batch.seq_lens_cpu.clone()
        for job, kept, report in _choose(scheduler, jobs):
            length = _carry_out(scheduler, job, kept, report)
            if length is not None:
                seq_lens[job.index] = seq_lens_cpu[job.index] = length
        # new tensors, never in place: a forward in flight may still read the old ones
        batch.seq_lens, batch.seq_lens_cpu, batch.seq_lens_sum = seq_lens, seq_lens_cpu, None


def force_replayed_tokens(batch: Any, next_token_ids: torch.Tensor) -> None:
    """Give a request that resumes after a retraction its own last token instead of a newly sampled one, in place."""
    for index, req in enumerate(batch.reqs):
        state = state_of(req)
        if state is not None and state.replay and _prefill_is_complete(req, state):
            next_token_ids[index] = state.replay[-1]


def finish_reports(batch: Any) -> None:
    """Hand the reports of this batch to SGLang, which sends them with the request's first token."""
    for req in batch.reqs:
        state = state_of(req)
        if state is not None and state.pending is not None:
            req.customized_info = {**(req.customized_info or {}), PARAMS_KEY: [state.pending.finish()]}
            state.pending = None


def _jobs(scheduler: Any, batch: Any) -> Iterator[Job]:
    page = scheduler.token_to_kv_pool_allocator.page_size
    for index, req in enumerate(batch.reqs):
        state = state_of(req)
        if state is None or not _prefill_is_complete(req, state):
            continue
        try:
            policy = load_policy(state.plan.policy)(**state.plan.params)
        except (KeyError, TypeError, ValueError) as error:
            _keep_whole(req, state, f"policy {state.plan.policy!r} cannot be used: {error}")
            continue
        budget = -(-state.plan.budget_tokens // page) * page
        if budget + page > len(req.origin_input_ids):
            _keep_whole(req, state, f"the budget in whole pages of {page} leaves nothing to evict")
            continue
        if policy.rows.window >= len(req.origin_input_ids):
            _keep_whole(req, state, f"the prompt is not longer than the window of {policy.rows.window} tokens")
            continue
        yield Job(index, req, state, policy, budget)


def _prefill_is_complete(req: Any, state: RequestState) -> bool:
    ended = req.finished() or req.to_finish is not None or req.is_retracted
    return not state.settled and not ended and not req.output_ids and req.extend_end == len(req.origin_input_ids)


def _choose(scheduler: Any, jobs: Sequence[Job]) -> Iterator[tuple[Job, torch.Tensor, PendingReport]]:
    """Each job with the positions it keeps, [L, Hkv, K] int64 on the device. Jobs that cannot be scored stay whole."""
    device = batch_device(scheduler)
    for job in jobs:
        if job.state.kept is not None:
            yield job, job.state.kept.to(device, torch.int64, non_blocking=True), PendingReport(0)
    fresh = [job for job in jobs if job.state.kept is None]
    try:
        observations, watch = _observe(scheduler, fresh)
    except Exception as error:
        logger.exception("scoring pass failed", requests=[job.req.rid for job in fresh])
        for job in fresh:
            _keep_whole(job.req, job.state, f"scoring failed: {error}")
        return
    for job, seen in zip(fresh, observations, strict=True):
        try:
            kept = _select(job, seen)
        except ValueError as error:
            _keep_whole(job.req, job.state, str(error))
            continue
        mass = None if seen.window_mass is None else retained_mass(seen.window_mass, kept)
        yield job, kept, PendingReport(job.budget_tokens, retained_mass=mass, scoring=watch)


def batch_device(scheduler: Any) -> torch.device:
    """The device that the model runs on."""
    return torch.device(scheduler.tp_worker.model_runner.device)


def _observe(scheduler: Any, jobs: Sequence[Job]) -> tuple[list[Observation], Stopwatch | None]:
    """What the policies' rows see, all jobs in one pass."""
    looking = [job for job in jobs if job.policy.rows.window]
    watch, masses = None, iter(list[torch.Tensor]())
    if looking:
        watch = Stopwatch(batch_device(scheduler))
        masses = iter(run_side_pass(scheduler.tp_worker.model_runner, [_window(scheduler, job) for job in looking]))
        watch.stop()
    pool = scheduler.token_to_kv_pool_allocator.get_kvcache()
    observations = [
        Observation(
            layers=pool.layer_num,
            kv_heads=pool.head_num,
            prompt_tokens=job.prompt_tokens,
            device=batch_device(scheduler),
            window_mass=next(masses) if job.policy.rows.window else None,
        )
        for job in jobs
    ]
    return observations, watch


def _window(scheduler: Any, job: Job) -> RowGroup:
    before = job.prompt_tokens - job.policy.rows.window
    rows = job.req.origin_input_ids[before:]
    return RowGroup(rows, before, prompt_slots(scheduler, job.req)[:before])


def _select(job: Job, seen: Observation) -> torch.Tensor:
    plan = job.state.plan
    return select(job.policy.score(seen), job.budget_tokens, plan.sink_tokens, plan.recent_tokens)


def _carry_out(scheduler: Any, job: Job, kept: torch.Tensor, report: PendingReport) -> int | None:
    """Compact, and replay what was generated before a retraction. The request's new length in slots, None if whole."""
    req, state = job.req, job.state
    before, watch = free_slots(scheduler), Stopwatch(kept.device)
    replayed = state.replay[:-1] if state.replay else array("q")
    target = compact(scheduler, req, kept, len(replayed))
    if target is None:
        why = f"the KV pool has no room for {kept.shape[-1] + len(replayed)} more tokens"
        if state.replay:
            _give_up(req, why)
        else:
            _keep_whole(req, state, why)
        return None
    watch.stop()
    state.settled, state.delta_tokens = True, job.prompt_tokens - kept.shape[-1]
    if state.replay is not None:
        _replay(scheduler, job, replayed, target)
    elif state.kept is None:
        state.kept = _to_host(kept)
        state.pending = PendingReport(
            report.kept_tokens, before, free_slots(scheduler), report.retained_mass, report.scoring, watch
        )
        _trace(state.plan.trace_path, kept)
    return len(target)


def _replay(scheduler: Any, job: Job, tokens: array[int], target: torch.Tensor) -> None:
    """Recompute the K/V of the answer so far over the compacted prompt, as decoding did, into the end of `target`."""
    req, state, kept_tokens = job.req, job.state, len(target) - len(tokens)
    req.output_ids, state.replay = tokens, None
    try:
        for start in range(0, len(tokens), REPLAY_ROWS):
            rows = tokens[start : start + REPLAY_ROWS]
            done = kept_tokens + start
            group = RowGroup(rows, job.prompt_tokens + start, target[:done], target[done : done + len(rows)])
            run_side_pass(scheduler.tp_worker.model_runner, [group])
    except Exception as error:
        logger.exception("replay after a retraction failed", request=req.rid)
        _give_up(req, str(error))


def _give_up(req: Any, why: str) -> None:
    """End an answer that cannot go on where it was; the caller may send its request again."""
    req.to_finish = FINISH_ABORT(f"not resumed after a retraction: {why}", status_code=HTTPStatus.SERVICE_UNAVAILABLE)
    logger.error("answer not resumed after a retraction", request=req.rid, why=why)


def _keep_whole(req: Any, state: RequestState, why: str) -> None:
    state.settled = True
    state.pending = PendingReport(len(req.origin_input_ids), skipped=why)
    logger.warning("KV kept whole", request=req.rid, why=why)


def _to_host(kept: torch.Tensor) -> torch.Tensor:
    # pinned, so that the copy does not wait for the device
    host = torch.empty(kept.shape, dtype=torch.int32, pin_memory=kept.is_cuda)
    return host.copy_(kept, non_blocking=True)


def _trace(path: str, kept: torch.Tensor) -> None:
    if path:
        file = Path(path + ".safetensors")
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({"kept": kept.to("cpu", torch.int32)}, file)
