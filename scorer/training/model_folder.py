"""A model and its tokenizer, from a folder in Hugging Face layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from scorer.torch_compat import declare_vision_ops
from scorer.training.rows_forward import LookaheadModel

if TYPE_CHECKING:
    from scorer.training.data.forms import ChatTokenizer

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class CannotLoad(ValueError):
    """A model that there is no way to run here. The message says why."""


def require_dtype(dtype: str) -> None:
    """Raises CannotLoad unless it is a name in DTYPES; a command asks before it reads much."""
    if dtype not in DTYPES:
        raise CannotLoad(f"dtype: {dtype!r} is not one of {' and '.join(DTYPES)}")


def load_model(folder: Path, dtype: str, device: str = "cpu") -> LookaheadModel:
    """The frozen model; `dtype` is a name in DTYPES. Raises CannotLoad."""
    require_dtype(dtype)
    if device not in ("cpu", "cuda"):
        raise CannotLoad(f"device: {device!r} is not one of cpu and cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise CannotLoad("device: torch finds no CUDA device for 'cuda'; use cpu")
    declare_vision_ops()
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        hf_model = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPES[dtype], local_files_only=True)
        return LookaheadModel(hf_model.to(device))
    except ValueError as error:
        raise CannotLoad(f"{folder}: {error}") from error


def load_tokenizer(folder: Path) -> ChatTokenizer:
    """Of the same folder."""
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    return tokenizer
