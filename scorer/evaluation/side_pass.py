"""The scoring pass as serving runs it, without an engine: its kernels, over K/V in a pool of slots.

For times. `services/runtime/backends/sglang/side_pass.py` is the same pass inside SGLang; that both choose the same
tokens is tested there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scorer.adapters.weights import AdapterWeights
from scorer.kernels.attend_rows import attend_rows
from scorer.kernels.compact_kv import compact_kv
from scorer.kernels.lora_rows import lora_rows, rows_of
from scorer.kernels.rows import row_layout
from scorer.training.frozen_model import FrozenModel, Prompt, rotate


@dataclass(frozen=True)
class Pool:
    """K/V of each layer, [slots, Hkv, D] each; the prompt's T tokens are in `slots`, and as many slots are free."""

    layers: Sequence[tuple[torch.Tensor, torch.Tensor]]
    slots: torch.Tensor  # [T] int64

    @classmethod
    def of(cls, prompt: Prompt) -> Pool:
        """A copy of the prompt's K/V with free slots behind it."""

        def doubled(tensor: torch.Tensor) -> torch.Tensor:
            return torch.cat([tensor, torch.zeros_like(tensor)])

        layers = [(doubled(keys), doubled(values)) for keys, values in zip(prompt.keys, prompt.values, strict=True)]
        return cls(layers, torch.arange(prompt.tokens, device=prompt.ids.device))

    def compact(self, kept: torch.Tensor) -> None:
        """Copy the kept K/V [L, Hkv, K] of every layer and head into the free slots."""
        compact_kv(self.layers, self.slots, kept, len(self.slots) + torch.arange(kept.shape[-1], device=kept.device))


@dataclass(frozen=True)
class RowGroup:
    """Rows [R, hidden] at `first_position` onwards, behind the first `context_tokens` of the prompt."""

    embeddings: torch.Tensor
    first_position: int
    context_tokens: int
    adapted: bool = False


@torch.no_grad()
def run_side_pass(
    frozen: FrozenModel, pool: Pool, groups: Sequence[RowGroup], adapter: AdapterWeights | None = None
) -> list[torch.Tensor]:
    """All groups through all layers in one pass. Returns each group's mass on its context, [L, Hkv, T] float32.

    As in serving, no group sees another, and the LoRA acts on adapted groups, which come first.
    """
    counts = [len(group.embeddings) for group in groups]
    layout = row_layout([pool.slots[: group.context_tokens] for group in groups], counts)
    adapted = sum(len(group.embeddings) for group in groups if group.adapted)
    places = [group.first_position + torch.arange(count) for group, count in zip(groups, counts, strict=True)]
    rows = torch.cat([group.embeddings for group in groups])
    rotation = frozen.rotation(rows, torch.cat(places).to(rows.device))
    lora = _Lora(adapter, rows_of([(0, adapted)], rows.device))
    masses = []
    for index, (layer, (keys, values)) in enumerate(zip(frozen.layers, pool.layers, strict=True)):
        attention, normed = layer.self_attn, layer.input_layernorm(rows)
        query, key, value = (
            lora.linear(attention, name, index, normed).unflatten(-1, (-1, attention.head_dim))
            for name in ("q_proj", "k_proj", "v_proj")
        )
        if hasattr(attention, "q_norm"):
            query, key = attention.q_norm(query), attention.k_norm(key)
        output, mass = attend_rows(
            rotate(query, rotation), rotate(key, rotation), value, keys, values, layout, attention.scaling
        )
        masses.append(mass)
        rows = rows + lora.linear(attention, "o_proj", index, output.flatten(1))
        normed, mlp = layer.post_attention_layernorm(rows), layer.mlp
        gate = mlp.act_fn(lora.linear(mlp, "gate_proj", index, normed))
        rows = rows + lora.linear(mlp, "down_proj", index, gate * lora.linear(mlp, "up_proj", index, normed))
    parts = torch.stack(masses).split(layout.mass_sizes, dim=-1)
    return [part[..., : group.context_tokens] for part, group in zip(parts, groups, strict=True)]


@dataclass(frozen=True)
class _Lora:
    """Linears with the adapter's change on `rows`, through the kernel that serving uses."""

    adapter: AdapterWeights | None
    rows: torch.Tensor

    def linear(self, block: Any, name: str, layer: int, inputs: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = getattr(block, name)(inputs)
        change = self.adapter.layers[layer].get(name) if self.adapter and len(self.rows) else None
        if self.adapter and change:
            lora_rows(output, inputs, change.a, change.b, self.rows, self.adapter.config.scale)
        return output
