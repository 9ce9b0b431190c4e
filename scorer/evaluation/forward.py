"""Rows of several sequences through a frozen model, each behind a K/V cache of its own.

B sequences, R rows, S slots of context; L, Hq, Hkv, T, D as in `scorer/training/frozen_model.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from scorer.evaluation.caches import Caches
from scorer.training.attend import Heads
from scorer.training.frozen_model import FrozenModel, Prompt, rotate

# hears the layer and its rows' heads, [B * R] of them
Listen = Callable[[int, Heads], None]


@torch.no_grad()
def prefill(frozen: FrozenModel, ids: torch.Tensor) -> tuple[Prompt, torch.Tensor]:
    """The prompt with ids [T], and the logits [V] float32 of its answer's first token, which eviction cannot change."""
    out = frozen.hf_model(ids[None], use_cache=True, logits_to_keep=1)
    layers = out.past_key_values.layers
    keys = tuple(layer.keys[0].transpose(0, 1) for layer in layers)
    values = tuple(layer.values[0].transpose(0, 1) for layer in layers)
    return Prompt(ids, keys, values), out.logits[0, -1].float()


@torch.no_grad()
def append_rows(
    frozen: FrozenModel,
    caches: Caches,
    ids: torch.Tensor,
    positions: torch.Tensor,
    among_rows: torch.Tensor | None = None,
    listen: Listen = lambda layer, heads: None,
) -> torch.Tensor:
    """Hidden states [B, R, hidden] after the final norm, of rows with ids [B, R] at positions [B, R].

    The rows see the caches, which they join, and of each other what `among_rows` [R, R] allows; causal without it. A
    model cut short by its caches (fewer layers) ends early.
    """
    batch, rows = ids.shape
    mask = caches.mask(rows, among_rows)
    hidden = frozen.embed(ids.flatten())
    rotation = frozen.rotation(hidden, positions.flatten())
    for index in range(caches.layers):
        layer: Any = frozen.layers[index]
        heads = _heads(layer.self_attn, layer.input_layernorm(hidden), rotation)
        listen(index, heads)
        attended = caches.attend(index, heads, mask)
        hidden = hidden + layer.self_attn.o_proj(attended.flatten(1))
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    caches.grow(rows)
    return frozen.hf_model.model.norm(hidden).view(batch, rows, -1)


def logits(frozen: FrozenModel, hidden: torch.Tensor) -> torch.Tensor:
    """What the model's head makes of hidden states: [..., V] in the model's dtype."""
    return frozen.hf_model.get_output_embeddings()(hidden)


def _heads(attention: Any, normed: torch.Tensor, rotation: Any) -> Heads:
    queries, keys, values = (
        linear(normed).unflatten(-1, (-1, attention.head_dim))
        for linear in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    # Qwen3 alone has these
    if hasattr(attention, "q_norm"):
        queries, keys = attention.q_norm(queries), attention.k_norm(keys)
    return Heads(rotate(queries, rotation), rotate(keys, rotation), values, attention.scaling)
