"""The scoring pass of a step: the rows that each policy asks for, and what they saw of each prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from scorer.policies.base import Observation
from services.runtime.backends.sglang.prefills import Job
from services.runtime.backends.sglang.report import Stopwatch
from services.runtime.backends.sglang.side_pass import RowGroup, embed, run_side_pass
from services.runtime.backends.sglang.slots import prompt_slots


def batch_device(scheduler: Any) -> torch.device:
    """The device that the model runs on."""
    return torch.device(scheduler.tp_worker.model_runner.device)


def observe(scheduler: Any, jobs: Sequence[Job]) -> tuple[list[Observation], Stopwatch | None]:
    """What the rows of each job's policy see, all jobs and kinds in one pass, and the time of that pass.

    The jobs with an adapter have the same one.
    """
    watch = Stopwatch(batch_device(scheduler)) if any(job.policy.rows for job in jobs) else None
    groups = [groups_of(scheduler, job) for job in jobs]
    masses: Iterator[torch.Tensor] = iter(())
    if watch:
        in_order = [group for kinds in groups for group in kinds.values()]
        masses = iter(run_side_pass(scheduler.tp_worker.model_runner, in_order, _adapter(jobs)))
        watch.stop()
    seen = [
        {kind: next(masses)[..., : job.prompt_tokens] for kind in kinds}
        for job, kinds in zip(jobs, groups, strict=True)
    ]
    return [_observation(scheduler, job, mass) for job, mass in zip(jobs, seen, strict=True)], watch


def groups_of(scheduler: Any, job: Job) -> dict[str, RowGroup]:
    """The rows that the job's policy asks for, by the field of its Observation that gets their mass.

    Each kind is a group of its own, so that none sees another.
    """
    rows, tokens, runner = job.policy.rows, job.prompt_tokens, scheduler.tp_worker.model_runner
    groups: dict[str, RowGroup] = {}
    if not rows:
        return groups
    slots = prompt_slots(scheduler, job.req)
    if job.adapter:
        groups["lookahead_mass"] = RowGroup(job.adapter.weights.embeddings, tokens, slots, adapted=True)
    if rows.window:
        before = tokens - rows.window
        ids = job.req.origin_input_ids[before:]
        groups["window_mass"] = RowGroup(embed(runner, ids), before, slots[:before])
    if rows.first_token and job.state.first_token is not None:
        groups["first_token_mass"] = RowGroup(embed(runner, job.state.first_token), tokens, slots)
    return groups


def _adapter(jobs: Sequence[Job]) -> Any:
    return next((job.adapter for job in jobs if job.adapter), None)


def _observation(scheduler: Any, job: Job, mass: Mapping[str, torch.Tensor]) -> Observation:
    pool = scheduler.token_to_kv_pool_allocator.get_kvcache()
    return Observation(
        layers=pool.layer_num,
        kv_heads=pool.head_num,
        prompt_tokens=job.prompt_tokens,
        device=batch_device(scheduler),
        window_mass=mass.get("window_mass"),
        lookahead_mass=mass.get("lookahead_mass"),
        first_token_mass=mass.get("first_token_mass"),
        fusion_weights=job.adapter.weights.fusion if job.adapter else None,
    )
