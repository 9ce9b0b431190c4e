"""What a finished run leaves: the adapter's folder and its metrics as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from scorer.adapters.folder import save_folder
from scorer.adapters.manifest import Files, Manifest, model_identity
from scorer.training.loop import TrainingState
from scorer.training.objectives import OBJECTIVES
from scorer.training.settings import TrainingSettings
from scorer.training.validate import Retained


def headline(rows: Sequence[Retained], settings: TrainingSettings) -> dict[str, float]:
    """What lookahead, oracle and window retain at the middle budget, of the mass that the objective reads."""
    ratio = settings.budget_ratios[len(settings.budget_ratios) // 2]
    reads = OBJECTIVES[settings.objective].reads
    return {row.scores: row.retained for row in rows if (row.of, row.budget_ratio) == (reads, ratio)}


def save_adapter(
    folder: Path,
    state: TrainingState,
    model_config: Mapping[str, Any],
    settings: TrainingSettings,
    rows: Sequence[Retained],
    names: Mapping[str, Any],
) -> None:
    """A verified adapter folder; `names` are the manifest's adapter, version and model. Raises as save_folder does.

    Rounded to bfloat16, half the size: serving computes in that anyhow.
    """
    contents = state.adapter.to(dtype=torch.bfloat16).to_files()
    scores = {f"retained_{row.of}_{row.scores}_{row.budget_ratio:g}": row.retained for row in rows}
    manifest = Manifest(
        **names,
        **model_identity(model_config),
        dtype="bfloat16",
        files=Files.of(contents),
        training_tag=f"{settings.objective}, {state.step} steps of {settings.batch_samples}, seed {settings.seed}",
        scores=scores | {"loss": state.metrics[-1].loss},
    )
    save_folder(folder, manifest, contents)


def write_metrics(file: Path, state: TrainingState, identity: Mapping[str, Any]) -> None:
    """Settings, every step and every validation, as JSON."""
    content = {
        "run": dict(identity),
        "steps": [asdict(each) for each in state.metrics],
        "validations": state.validations,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    half_made = file.with_name(file.name + ".tmp")
    half_made.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    half_made.replace(file)
