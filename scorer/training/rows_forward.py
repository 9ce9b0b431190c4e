"""The scoring pass of method.md section 6, differentiable: a few rows behind a prompt whose K/V are constants.

Three kinds of rows, masked from each other: lookahead rows (learned embeddings at T, T + 1, ..., LoRA on), the last
prompt tokens again (the window), and the first sampled token at T. L, Hq, T, R, D as in `frozen_model.py`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from scorer.adapters.weights import AdapterWeights
from scorer.training.attend import Heads
from scorer.training.frozen_model import FrozenModel, Prompt
from scorer.training.kinds import KindName, make_kinds
from scorer.training.layers import run_layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


# The attention that each prompt token received from each kind, mean over its rows, [L, Hq, T] float32. The softmax of
# lookahead rows and of the first token runs over their own keys too, so a head's mass is below 1.
RowMass = dict[KindName, torch.Tensor]


class LookaheadModel:
    """Runs rows of the three kinds through a frozen causal language model."""

    def __init__(self, hf_model: PreTrainedModel) -> None:
        """Freezes `hf_model`. Raises ValueError when its kind of model is not supported."""
        self.frozen = FrozenModel(hf_model)

    def prefill(self, ids: torch.Tensor) -> Prompt:
        """The prompt with ids [T], once and without gradient."""
        return self.frozen.prefill(ids)

    def mass(
        self,
        prompt: Prompt,
        adapter: AdapterWeights | None = None,
        window: int = 0,
        first_token: int | None = None,
    ) -> RowMass:
        """The mass of each kind asked for, differentiable by the adapter's tensors.

        In training, ask for the kinds without weights once and apart: beside lookahead rows they join each backward
        pass. Raises ValueError when the window is longer than the prompt.
        """
        kinds = make_kinds(self.frozen, prompt, adapter, window, first_token)
        if not kinds:
            return {}
        sizes = [len(kind.embeddings) for kind in kinds]
        seen: defaultdict[KindName, list[torch.Tensor]] = defaultdict(list)

        def attend(layer: int, heads: Heads) -> torch.Tensor | None:
            outputs, start = [], 0
            for kind, size in zip(kinds, sizes, strict=True):
                output, mass = kind.attend(prompt, layer, heads[start : start + size])
                seen[kind.name].append(mass)
                outputs.append(output)
                start += size
            return _joined(outputs)

        # all kinds share the linears, whose weights are the cost
        rows = torch.cat([kind.embeddings for kind in kinds])
        run_layers(self.frozen, rows, torch.cat([kind.positions for kind in kinds]), attend, adapter)
        return {name: torch.stack(layers) for name, layers in seen.items()}


def by_kv_head(mass: torch.Tensor, kv_heads: int) -> torch.Tensor:
    """Mean over the query heads of each group: [L, Hq, T] -> [L, Hkv, T], what a policy scores."""
    return mass.unflatten(1, (kv_heads, -1)).mean(dim=2)


def _joined(outputs: list[torch.Tensor | None]) -> torch.Tensor | None:
    made = [output for output in outputs if output is not None]
    return torch.cat(made) if made else None
