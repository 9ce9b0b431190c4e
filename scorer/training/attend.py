"""Differentiable attention of a few rows over constants and themselves, by query head."""

from dataclasses import dataclass

import torch

from scorer.training.frozen_model import Prompt


@dataclass(frozen=True)
class Heads:
    """What one layer's projections made of R rows, RoPE applied. The last layer needs no values."""

    queries: torch.Tensor  # [R, Hq, D]
    keys: torch.Tensor  # [R, Hkv, D]
    values: torch.Tensor | None  # [R, Hkv, D]
    scale: float

    def __getitem__(self, rows: slice) -> "Heads":
        values = None if self.values is None else self.values[rows]
        return Heads(self.queries[rows], self.keys[rows], values, self.scale)

    def behind(self, prompt: Prompt, layer: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Keys and values of the prompt and then of these rows, [T + R, Hkv, D]."""
        keys = torch.cat([prompt.keys[layer], self.keys])
        return keys, None if self.values is None else torch.cat([prompt.values[layer], self.values])


def attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor | None, scale: float
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Attention of R rows over S keys, of which the last R are the rows' own; no row sees a later one.

    queries [R, Hq, D], keys and values [S, Hkv, D] -> output [R, Hq, D] in the dtype of the queries, None without
    values, and probabilities [Hq, R, S] float32.
    """
    rows, heads, head_dim = queries.shape
    support, kv_heads = keys.shape[:2]
    grouped = queries.float().view(rows, kv_heads, -1, head_dim).permute(1, 2, 0, 3)  # [Hkv, G, R, D]
    logits = grouped.flatten(1, 2) @ keys.float().permute(1, 2, 0) * scale  # [Hkv, G * R, S]
    later = torch.ones(rows, support, dtype=torch.bool, device=queries.device).triu(support - rows + 1)
    probabilities = logits.view(heads, rows, support).masked_fill(later, float("-inf")).softmax(dim=-1)
    if values is None:
        return None, probabilities
    output = probabilities.view(kv_heads, -1, support).to(values.dtype) @ values.transpose(0, 1)  # [Hkv, G * R, D]
    return output.view(heads, rows, head_dim).transpose(0, 1).to(queries.dtype), probabilities
