"""The scoring pass of method.md section 6, differentiable: a few rows behind a prompt whose K/V are constants.

Three kinds of rows, masked from each other: lookahead rows (learned embeddings at T, T + 1, ..., LoRA on), the last
prompt tokens again (the window), and the first sampled token at T. L, Hq, T, R, D as in `frozen_model.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from scorer.adapters.weights import AdapterWeights
from scorer.training.attend import Heads
from scorer.training.frozen_model import FrozenModel, Prompt
from scorer.training.kinds import Kind, KindName, make_kinds
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

    @property
    def device(self) -> torch.device:
        return self.frozen.embed.weight.device

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
        masses = self._masses([(prompt, kind) for kind in kinds], adapter)
        return {kind.name: mass for kind, mass in zip(kinds, masses, strict=True)}

    def lookahead_masses(self, prompts: Sequence[Prompt], adapter: AdapterWeights) -> list[torch.Tensor]:
        """The lookahead rows' mass [L, Hq, T] of several prompts in one pass, which reads the weights once."""
        looking = [(prompt, kind) for prompt in prompts for kind in make_kinds(self.frozen, prompt, adapter, 0, None)]
        return self._masses(looking, adapter)

    def _masses(self, looking: Sequence[tuple[Prompt, Kind]], adapter: AdapterWeights | None) -> list[torch.Tensor]:
        """Of each prompt and kind; kinds that the LoRA acts on come first."""
        if not looking:
            return []
        sizes = [len(kind.embeddings) for _, kind in looking]
        seen: list[list[torch.Tensor]] = [[] for _ in looking]

        def attend(layer: int, heads: Heads) -> torch.Tensor | None:
            outputs, start = [], 0
            for (prompt, kind), size, layers in zip(looking, sizes, seen, strict=True):
                output, mass = kind.attend(prompt, layer, heads[start : start + size])
                layers.append(mass)
                outputs.append(output)
                start += size
            return _joined(outputs)

        # all share the linears, whose weights are the cost
        rows = torch.cat([kind.embeddings for _, kind in looking])
        positions = torch.cat([kind.positions for _, kind in looking])
        adapted = sum(size for (_, kind), size in zip(looking, sizes, strict=True) if kind.name == "lookahead")
        run_layers(self.frozen, rows, positions, attend, adapter, adapted)
        return [torch.stack(layers) for layers in seen]


def by_kv_head(mass: torch.Tensor, kv_heads: int) -> torch.Tensor:
    """Mean over the query heads of each group: [L, Hq, T] -> [L, Hkv, T], what a policy scores."""
    return mass.unflatten(1, (kv_heads, -1)).mean(dim=2)


def _joined(outputs: list[torch.Tensor | None]) -> torch.Tensor | None:
    made = [output for output in outputs if output is not None]
    return torch.cat(made) if made else None
