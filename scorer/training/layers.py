"""All decoder layers for a few rows, of which the first may be adapted; rows are [R, hidden]."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from scorer.adapters.weights import AdapterWeights
from scorer.training.attend import Heads
from scorer.training.frozen_model import FrozenModel, Rotation, rotate

# layer index and its heads -> the rows' attention output [R, Hq, D]; of the last layer nothing is used
Attend = Callable[[int, Heads], torch.Tensor | None]


def run_layers(
    frozen: FrozenModel,
    rows: torch.Tensor,
    positions: torch.Tensor,
    attend: Attend,
    adapter: AdapterWeights | None = None,
    adapted_rows: int = 0,
) -> None:
    """Take rows at `positions` [R] through the layers, up to the last one's attention, asking `attend` in each.

    The LoRA of `adapter` acts on the first `adapted_rows` rows.
    """
    rotation = frozen.rotation(rows, positions)
    for index, module in enumerate(frozen.layers):
        layer = _Layer(module, adapter, index, adapted_rows)
        heads = layer.heads(rows, rotation, with_values=index < len(frozen.layers) - 1)
        attended = attend(index, heads)
        if attended is None or heads.values is None:
            return
        rows = layer.after_attention(rows, attended)


@dataclass(frozen=True)
class _Layer:
    """A transformers decoder layer beside its LoRA, which acts on the first rows only (method.md section 3)."""

    module: Any
    adapter: AdapterWeights | None
    index: int
    adapted_rows: int

    def heads(self, rows: torch.Tensor, rotation: Rotation, with_values: bool) -> Heads:
        attention, normed = self.module.self_attn, self.module.input_layernorm(rows)
        queries, keys = self._project("q_proj", normed), self._project("k_proj", normed)
        # Qwen3 alone has these
        if hasattr(attention, "q_norm"):
            queries, keys = attention.q_norm(queries), attention.k_norm(keys)
        values = self._project("v_proj", normed) if with_values else None
        return Heads(rotate(queries, rotation), rotate(keys, rotation), values, attention.scaling)

    def after_attention(self, rows: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        rows = rows + self._linear(self.module.self_attn, "o_proj", attended.flatten(1))
        mlp, normed = self.module.mlp, self.module.post_attention_layernorm(rows)
        gate = mlp.act_fn(self._linear(mlp, "gate_proj", normed))
        return rows + self._linear(mlp, "down_proj", gate * self._linear(mlp, "up_proj", normed))

    def _project(self, name: str, normed: torch.Tensor) -> torch.Tensor:
        attention = self.module.self_attn
        return self._linear(attention, name, normed).unflatten(-1, (-1, attention.head_dim))

    def _linear(self, block: Any, name: str, rows: torch.Tensor) -> torch.Tensor:
        base = getattr(block, name)(rows)
        lora = self.adapter.layers[self.index].get(name) if self.adapter else None
        if self.adapter is None or lora is None:
            return base
        n = self.adapted_rows
        change = F.linear(F.linear(rows[:n].to(lora.a.dtype), lora.a), lora.b) * self.adapter.config.scale
        return torch.cat([base[:n] + change.to(base.dtype), base[n:]])
