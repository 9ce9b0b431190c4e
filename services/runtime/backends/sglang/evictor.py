"""The end of a prefill: the prompts that finished in this step are compacted to what was chosen, and reported."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
import torch
from safetensors.torch import save_file
from sglang.srt.managers.schedule_batch import FINISH_ABORT

from services.runtime.backends.sglang.adapter import adapters_of
from services.runtime.backends.sglang.choice import choose
from services.runtime.backends.sglang.prefills import Job, finished_prefills, keep_whole
from services.runtime.backends.sglang.report import PendingReport, Stopwatch
from services.runtime.backends.sglang.request_state import PARAMS_KEY, state_of
from services.runtime.backends.sglang.side_pass import RowGroup, embed, run_side_pass
from services.runtime.backends.sglang.slots import compact, free_slots, on_forward_stream

logger = structlog.get_logger()

# bounds the scratch of a replay, which needs [Hq, rows, context] floats at a time
REPLAY_ROWS = 256


def evict_finished_prefills(scheduler: Any, batch: Any) -> None:
    """Compact every request of `batch` that has a plan and has just been prefilled to the end.

    A prompt that cannot be scored, or for whose kept tokens there is no room, stays whole and says why.
    """
    with adapters_of(scheduler).in_step:
        jobs = list(finished_prefills(scheduler, batch))
        if jobs:
            _evict(scheduler, batch, jobs)


def _evict(scheduler: Any, batch: Any, jobs: Sequence[Job]) -> None:
    with on_forward_stream(scheduler):
        seq_lens, seq_lens_cpu = batch.seq_lens.clone(), batch.seq_lens_cpu.clone()
        for job, kept, report in choose(scheduler, jobs):
            length = _carry_out(scheduler, job, kept, report)
            if length is not None:
                seq_lens[job.index] = seq_lens_cpu[job.index] = length
        # new tensors, never in place: a forward in flight may still read the old ones
        batch.seq_lens, batch.seq_lens_cpu, batch.seq_lens_sum = seq_lens, seq_lens_cpu, None


def finish_reports(batch: Any) -> None:
    """Hand the reports of this batch to SGLang, which sends them with the request's first token."""
    for req in batch.reqs:
        state = state_of(req)
        if state is not None and state.pending is not None:
            req.customized_info = {**(req.customized_info or {}), PARAMS_KEY: [state.pending.finish()]}
            state.pending = None


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
            keep_whole(req, state, why)
        return None
    watch.stop()
    state.settled, state.delta_tokens, state.first_token = True, job.prompt_tokens - kept.shape[-1], None
    if state.replay is not None:
        _replay(scheduler, job, replayed, target)
    elif state.kept is None:
        state.kept = _to_host(kept)
        after = free_slots(scheduler)
        state.pending = replace(report, free_slots_before=before, free_slots_after=after, compaction=watch)
        _trace(state.plan.trace_path, kept)
    return len(target)


def _replay(scheduler: Any, job: Job, tokens: array[int], target: torch.Tensor) -> None:
    """Recompute the K/V of the answer so far over the compacted prompt, as decoding did, into the end of `target`."""
    req, state, kept_tokens = job.req, job.state, len(target) - len(tokens)
    runner = scheduler.tp_worker.model_runner
    req.output_ids, state.replay = tokens, None
    try:
        for start in range(0, len(tokens), REPLAY_ROWS):
            rows = tokens[start : start + REPLAY_ROWS]
            done = kept_tokens + start
            slots = target[done : done + len(rows)]
            group = RowGroup(embed(runner, rows), job.prompt_tokens + start, target[:done], slots)
            run_side_pass(runner, [group])
    except Exception as error:
        logger.exception("replay after a retraction failed", request_id=req.rid)
        _give_up(req, str(error))


def _give_up(req: Any, why: str) -> None:
    """End an answer that cannot go on where it was; the caller may send its request again."""
    req.to_finish = FINISH_ABORT(f"not resumed after a retraction: {why}", status_code=HTTPStatus.SERVICE_UNAVAILABLE)
    logger.error("answer not resumed after a retraction", request_id=req.rid, why=why)


def _to_host(kept: torch.Tensor) -> torch.Tensor:
    # pinned, so that the copy does not wait for the device
    host = torch.empty(kept.shape, dtype=torch.int32, pin_memory=kept.is_cuda)
    return host.copy_(kept, non_blocking=True)


def _trace(path: str, kept: torch.Tensor) -> None:
    if path:
        file = Path(path + ".safetensors")
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({"kept": kept.to("cpu", torch.int32)}, file)
