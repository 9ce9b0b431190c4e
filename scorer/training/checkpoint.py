"""A run on disk: one file, replaced as a whole, from which training goes on with the same bits.

No state of a random generator is in it: order and start of a run are functions of its seed (loop.py).
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from scorer.adapters.weights import AdapterWeights
from scorer.training.fusion import FusionFit
from scorer.training.loop import StepMetrics, TrainingState

FORMAT = 2


class BadCheckpoint(ValueError):
    """The file cannot be gone on from. The message says what is wrong, or which field differs."""


def save_checkpoint(file: Path, state: TrainingState, identity: Mapping[str, Any]) -> None:
    """Write `state`; `identity` is all that must be the same when it is loaded. Interrupted, the old file stays."""
    content = {
        "format": FORMAT,
        "identity": dict(identity),
        "step": state.step,
        "metrics": [asdict(each) for each in state.metrics],
        "validations": state.validations,
        "adapter": {name: tensor.detach() for name, tensor in state.adapter.tensors().items()},
        "optimiser": state.optimiser.state_dict(),
        "fit": asdict(state.fit),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    half_made = file.with_name(file.name + ".tmp")
    try:
        with half_made.open("wb") as handle:
            torch.save(content, handle)
            handle.flush()
            os.fsync(handle.fileno())
        half_made.replace(file)
    finally:
        half_made.unlink(missing_ok=True)


def load_checkpoint(file: Path, start: AdapterWeights, identity: Mapping[str, Any]) -> TrainingState:
    """The state in `file`, on the device of `start`, whose tensors it replaces. Raises BadCheckpoint."""
    content = _read(file)
    _check_identity(file, content["identity"], identity)
    state = TrainingState.of(start)
    with torch.no_grad():
        for name, tensor in state.adapter.tensors().items():
            tensor.copy_(content["adapter"][name])
    state.fit = FusionFit(**{name: tensor.to(start.fusion.device) for name, tensor in content["fit"].items()})
    state.optimiser.load_state_dict(content["optimiser"])
    state.step = content["step"]
    state.metrics = [StepMetrics(**each) for each in content["metrics"]]
    state.validations = content["validations"]
    return state


def _read(file: Path) -> dict[str, Any]:
    try:
        # tensors and plain values only: a checkpoint runs no code; to the CPU, where the optimiser counts its steps
        content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadCheckpoint(f"{file}: cannot be read: {error.strerror}") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise BadCheckpoint(f"{file}: is damaged or is no checkpoint") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BadCheckpoint(f"{file}: is not a checkpoint of format {FORMAT}")
    return content


def _check_identity(file: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    differing = [name for name in sorted(saved.keys() | wanted.keys()) if saved.get(name) != wanted.get(name)]
    if differing:
        each = (f"{name}: {wanted.get(name)!r}, saved with {saved.get(name)!r}" for name in differing)
        raise BadCheckpoint(f"{file}: is of another run; {'; '.join(each)}")
