"""A run's adapter and drafter, from folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scorer.adapters.fingerprint import read_config
from scorer.adapters.folder import read_folder
from scorer.adapters.weights import AdapterWeights, load_weights
from scorer.training.frozen_model import FrozenModel
from scorer.training.model_folder import load_model
from scorer.training.rows_forward import LookaheadModel


class CannotEvaluate(ValueError):
    """Model, adapter and data that no evaluation can be made of. The message says why."""


def load_drafter(folder: Path, target: LookaheadModel, dtype: str) -> FrozenModel:
    """A smaller model that drafts for `target`. Raises CannotEvaluate when their words differ in number, CannotLoad."""
    drafter = load_model(folder, dtype).frozen
    words, own = target.frozen.config.vocab_size, drafter.config.vocab_size
    if words != own:
        raise CannotEvaluate(f"drafter: {folder} has {own} words and the model {words}; it needs the same tokenizer")
    return drafter


def load_adapter(folder: Path, model: Path) -> tuple[AdapterWeights, str]:
    """The adapter and the sha256 of its tensors. Raises AdapterError when it is damaged or of another model."""
    config: dict[str, Any] = read_config(model)
    bundle = read_folder(folder, config)
    return load_weights(bundle), bundle.manifest.files.weights.sha256
