"""What presses make of a prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from scorer.evaluation.caches import Context
from scorer.evaluation.peers.presses import Case
from scorer.evaluation.samples import EvalSample
from scorer.training.frozen_model import FrozenModel


@dataclass(frozen=True)
class Pressed:
    """A prefilled sample: its whole cache, and what each case keeps, both with the RoPE of places in the prompt."""

    sample: EvalSample
    first_logits: torch.Tensor  # [V] float32, of the answer's first token, which no press can change
    whole: Context
    kept: Mapping[Case, Context]


@dataclass(frozen=True)
class Answered:
    """A pressed sample and the model's own greedy answer with the whole cache, [n] int64."""

    pressed: Pressed
    response: torch.Tensor


Press = Callable[[FrozenModel, EvalSample, Sequence[Case]], Pressed]


def kept_tokens(context: Context) -> int:
    """Per layer and KV head, the mean over layers."""
    return round(sum(keys.shape[1] for keys in context.keys) / len(context.keys))
