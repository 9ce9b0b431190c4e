"""A run's model and adapter, from folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch

from scorer.adapters.fingerprint import read_config
from scorer.adapters.folder import read_folder
from scorer.adapters.weights import AdapterWeights, load_weights
from scorer.torch_compat import declare_vision_ops
from scorer.training.frozen_model import FrozenModel
from scorer.training.rows_forward import LookaheadModel

Precision = Literal["float32", "bfloat16"]


class CannotEvaluate(ValueError):
    """Model, adapter and data that no evaluation can be made of. The message says why."""


def load_model(folder: Path, precision: Precision, device: str = "cpu") -> LookaheadModel:
    """The model in Hugging Face layout. Raises CannotEvaluate."""
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise CannotEvaluate(f"device: {device!r} is not one of cpu and cuda, or this machine has none")
    declare_vision_ops()
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    dtype = getattr(torch, precision)
    try:
        hf_model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
        return LookaheadModel(hf_model.to(device))
    except ValueError as error:
        raise CannotEvaluate(f"{folder}: {error}") from error


def load_drafter(folder: Path, target: LookaheadModel, precision: Precision) -> FrozenModel:
    """A smaller model that drafts for `target`. Raises CannotEvaluate when their words differ in number."""
    drafter = load_model(folder, precision).frozen
    words, own = target.frozen.config.vocab_size, drafter.config.vocab_size
    if words != own:
        raise CannotEvaluate(f"drafter: {folder} has {own} words and the model {words}; it needs the same tokenizer")
    return drafter


def load_adapter(folder: Path, model: Path) -> tuple[AdapterWeights, str]:
    """The adapter and the sha256 of its tensors. Raises AdapterError when it is damaged or of another model."""
    config: dict[str, Any] = read_config(model)
    bundle = read_folder(folder, config)
    return load_weights(bundle), bundle.manifest.files.weights.sha256
