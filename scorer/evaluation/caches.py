"""K/V caches of several sequences as one batch: whole prompts, or what a method kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from scorer.training.attend import Heads
from scorer.training.frozen_model import Prompt


@dataclass(frozen=True)
class Context:
    """What one sequence looks back at: per layer, keys and values [Hkv, S, D], with the RoPE they were made with.

    A method may keep more in one layer than in another.
    """

    keys: Sequence[torch.Tensor]
    values: Sequence[torch.Tensor]

    @property
    def slots(self) -> int:
        """Of the longest layer."""
        return max(keys.shape[1] for keys in self.keys)


def whole(prompt: Prompt, layers: int | None = None) -> Context:
    """All of the prompt, of the first `layers` layers."""
    return Context(
        [keys.transpose(0, 1) for keys in prompt.keys[:layers]],
        [values.transpose(0, 1) for values in prompt.values[:layers]],
    )


def kept_of(prompt: Prompt, kept: torch.Tensor) -> Context:
    """The kept positions [L, Hkv, K] of the prompt, with their original RoPE."""

    def gathered(layers: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        heads = torch.arange(kept.shape[1], device=kept.device)[:, None]
        return [tensor[positions, heads] for tensor, positions in zip(layers, kept, strict=True)]

    return Context(gathered(prompt.keys), gathered(prompt.values))


class Caches:
    """B contexts with room for rows to come. Shorter contexts begin with empty slots, which no row sees."""

    def __init__(self, contexts: Sequence[Context], room: int) -> None:
        slots = max(context.slots for context in contexts)
        self.used, self.layers = slots, len(contexts[0].keys)
        self._keys = [_padded([context.keys[i] for context in contexts], slots, room) for i in range(self.layers)]
        self._values = [_padded([context.values[i] for context in contexts], slots, room) for i in range(self.layers)]
        device = self._keys[0].device
        used = [[context.keys[i].shape[1] for context in contexts] for i in range(self.layers)]
        empty = slots - torch.tensor(used, device=device)
        self._visible = torch.arange(slots + room, device=device) >= empty[..., None]  # [L, B, S + room]

    def mask(self, rows: int, among_rows: torch.Tensor | None = None) -> torch.Tensor:
        """Which slots, if they are filled, each of R new rows sees, [B, 1, R, S + R]; of the rows, the earlier ones."""
        batch, device = self._visible.shape[1], self._visible.device
        among = torch.ones(rows, rows, dtype=torch.bool, device=device).tril() if among_rows is None else among_rows
        before = among.new_ones(rows, self.used)
        return torch.cat([before, among], dim=-1).expand(batch, 1, -1, -1)

    def attend(self, layer: int, heads: Heads, mask: torch.Tensor) -> torch.Tensor:
        """Write the rows' keys and values behind the caches and return their attention output [B * R, Hq, D]."""
        batch, rows = len(mask), mask.shape[2]
        keys, values = self._keys[layer], self._values[layer]
        end = self.used + rows
        if heads.values is None:
            raise ValueError("heads.values: are missing; rows that join a cache need them in every layer")
        keys[:, :, self.used : end] = heads.keys.unflatten(0, (batch, rows)).transpose(1, 2)
        values[:, :, self.used : end] = heads.values.unflatten(0, (batch, rows)).transpose(1, 2)
        # the query heads of a group are rows more, so that no key is copied for them
        queries = heads.queries.unflatten(1, (keys.shape[1], -1)).unflatten(0, (batch, rows))  # [B, R, Hkv, G, D]
        group = queries.shape[3]
        grouped = queries.permute(0, 2, 3, 1, 4).flatten(2, 3)  # [B, Hkv, G * R, D]
        mask = mask & self._visible[layer, :, None, None, :end]
        output = F.scaled_dot_product_attention(
            grouped, keys[:, :, :end], values[:, :, :end], mask.repeat(1, 1, group, 1), scale=heads.scale
        )
        return output.unflatten(2, (group, rows)).permute(0, 3, 1, 2, 4).flatten(2, 3).flatten(0, 1)

    def grow(self, rows: int) -> None:
        """The rows that every layer has written are part of the caches from now on."""
        self.used += rows


def _padded(tensors: Sequence[torch.Tensor], slots: int, room: int) -> torch.Tensor:
    """[B, Hkv, slots + room, D]; zeros where there is nothing, since NaN would spread even if it is not seen."""
    heads, _, head_dim = tensors[0].shape
    padded = tensors[0].new_zeros(len(tensors), heads, slots + room, head_dim)
    for row, tensor in zip(padded, tensors, strict=True):
        row[:, slots - tensor.shape[1] : slots] = tensor
    return padded
