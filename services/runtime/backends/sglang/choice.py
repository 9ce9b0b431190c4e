"""Which positions each prompt keeps: observed, scored and selected before anything changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
import torch

from scorer.policies.base import Observation
from scorer.selection import retained_by_budget, retained_mass, select
from services.runtime.adaptive import choose_budget
from services.runtime.backends.sglang.observe import batch_device, observe
from services.runtime.backends.sglang.prefills import Job, by_adapter, keep_whole, settle_whole
from services.runtime.backends.sglang.report import PendingReport, Stopwatch

logger = structlog.get_logger()


@dataclass(frozen=True)
class Scored:
    """A job with its scores [L, Hkv, T], and the mass of the same shape that its policy predicts; None of a blind one.

    `retained` [len(job.budgets)] float64 on the device: the mass that each budget would retain; None without a choice.
    """

    job: Job
    watch: Stopwatch | None
    scores: torch.Tensor
    predicted: torch.Tensor | None
    retained: torch.Tensor | None


def choose(scheduler: Any, jobs: Sequence[Job]) -> Iterator[tuple[Job, torch.Tensor, PendingReport]]:
    """Each job with the positions it keeps, [L, Hkv, K] int64 on the device. Jobs that cannot be scored stay whole."""
    device = batch_device(scheduler)
    for job in jobs:
        if job.state.kept is not None:
            yield job, job.state.kept.to(device, torch.int64, non_blocking=True), PendingReport(0)
    scored = list(_scored(scheduler, [job for job in jobs if job.state.kept is None]))
    for each, masses in zip(scored, _to_host([each.retained for each in scored]), strict=True):
        try:
            chosen = _chosen(each, masses)
        except Exception as error:
            logger.exception("selection failed", request_id=each.job.req.rid)
            keep_whole(each.job.req, each.job.state, f"selection failed: {error}")
            continue
        if chosen is not None:
            yield each.job, *chosen


def _scored(scheduler: Any, jobs: Sequence[Job]) -> Iterator[Scored]:
    for job, seen, watch in _observed(scheduler, jobs):
        try:
            yield _score(job, seen, watch)
        except Exception as error:
            logger.exception("scores failed", request_id=job.req.rid)
            keep_whole(job.req, job.state, f"selection failed: {error}")


def _observed(scheduler: Any, jobs: Sequence[Job]) -> list[tuple[Job, Observation, Stopwatch | None]]:
    """What the rows of each job saw, in one pass for each adapter; all of it before anything changes."""
    seen: list[tuple[Job, Observation, Stopwatch | None]] = []
    for together in by_adapter(jobs):
        try:
            observations, watch = observe(scheduler, together)
        except Exception as error:
            logger.exception("scoring pass failed", request_ids=[job.req.rid for job in together])
            for job in together:
                keep_whole(job.req, job.state, f"scoring failed: {error}")
            continue
        seen += [(job, observation, watch) for job, observation in zip(together, observations, strict=True)]
    return seen


def _score(job: Job, seen: Observation, watch: Stopwatch | None) -> Scored:
    plan, scores = job.state.plan, job.policy.score(seen)
    # scores of lookahead rows are shares of the answer's attention; those of others are only good for their order
    predicted = scores if job.policy.rows.lookahead else seen.window_mass
    retained = None
    if plan.min_retained_mass is not None and predicted is not None:
        retained = retained_by_budget(scores, predicted, job.budgets, plan.sink_tokens, plan.recent_tokens)
    return Scored(job, watch, scores, predicted, retained)


def _to_host(retained: Sequence[torch.Tensor | None]) -> list[list[float]]:
    """The numbers of all of them, by the one copy that waits for the device; none is made where there are no numbers.

    Slots are handed out on the host, so it has to know how many of them a request needs.
    """
    there = [each for each in retained if each is not None]
    numbers = iter(torch.cat(there).tolist()) if there else iter(())
    return [[next(numbers) for _ in range(0 if each is None else len(each))] for each in retained]


def _chosen(each: Scored, masses: Sequence[float]) -> tuple[torch.Tensor, PendingReport] | None:
    """The positions to keep, [L, Hkv, K], and the report in the making; None when the job was settled whole."""
    job, plan = each.job, each.job.state.plan
    report = PendingReport(job.budgets[-1], scoring=each.watch, replaced=job.state.replaced)
    if job.adapter:
        report = replace(report, adapter=job.adapter.name, adapter_version=job.adapter.version)
    if masses:
        choice = choose_budget(plan, job.prompt_tokens, job.budgets, masses)
        if choice.tokens is None:
            settle_whole(job.req, job.state, choice.why, each.watch)
            return None
        report = replace(report, kept_tokens=choice.tokens, retained_mass=choice.retained_mass, choice=choice.why)
    kept = select(each.scores, report.kept_tokens, plan.sink_tokens, plan.recent_tokens)
    if not masses and each.predicted is not None:
        report = replace(report, retained_mass=retained_mass(each.predicted, kept))
    return kept, report
