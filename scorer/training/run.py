"""A whole run over prepared samples: take the steps, validate and save on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scorer.training.checkpoint import save_checkpoint
from scorer.training.interrupts import interrupts_wait
from scorer.training.loop import TrainingState, train
from scorer.training.prepared import PreparedSamples
from scorer.training.rows_forward import LookaheadModel
from scorer.training.settings import TrainingSettings
from scorer.training.validate import Retained, validate

# hears the state, and what the last validation found, after each step
OnStep = Callable[[TrainingState, Sequence[Retained]], None]


@dataclass(frozen=True)
class Run:
    """What does not change during a run. `identity` is all that a checkpoint must share to go on."""

    model: LookaheadModel
    training: PreparedSamples
    validation: PreparedSamples
    settings: TrainingSettings
    checkpoint: Path
    identity: Mapping[str, Any]
    save_every: int  # steps between validations, each followed by a checkpoint


def execute(run: Run, state: TrainingState, on_step: OnStep) -> list[Retained] | None:
    """Takes all steps; returns the last validation. Interrupted, it saves after the step under way and returns None."""
    rows = [Retained(**row) for row in state.validations[-1]["rows"]] if state.validations else []
    with interrupts_wait() as stop:
        for metrics in train(run.model, run.training, state, run.settings):
            due = metrics.step % run.save_every == 0 or metrics.step == run.settings.steps
            if due:
                rows = validate(run.model, run.validation, state.adapter, run.settings)
                state.validations.append({"step": metrics.step, "rows": [asdict(row) for row in rows]})
            on_step(state, rows)
            if due or stop.asked:
                save_checkpoint(run.checkpoint, state, run.identity)
            if stop.asked and state.step < run.settings.steps:
                return None
    return rows
