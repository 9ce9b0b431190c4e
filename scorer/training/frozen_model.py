"""A frozen transformers model, as constants for a few rows behind a prompt.

L layers, Hq/Hkv heads, T prompt tokens, R rows, D head size; batches do not occur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from scorer.adapters.shapes import MODEL_TYPES

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# cosine and sine, each [R, 1, D]
Rotation = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Prompt:
    """A prefilled prompt. No trainable weight ever changes its keys and values (method.md section 6)."""

    ids: torch.Tensor  # [T] int64
    keys: tuple[torch.Tensor, ...]  # per layer [T, Hkv, D], RoPE applied
    values: tuple[torch.Tensor, ...]

    @property
    def tokens(self) -> int:
        return len(self.ids)

    @property
    def kv_bytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values))

    def to(self, device: torch.device) -> Prompt:
        """The same prompt on `device`."""
        keys, values = (tuple(tensor.to(device) for tensor in part) for part in (self.keys, self.values))
        return Prompt(self.ids.to(device), keys, values)


class FrozenModel:
    """The parts of a Llama, Mistral, Qwen2 or Qwen3 model that the rows pass through."""

    def __init__(self, hf_model: PreTrainedModel) -> None:
        """Freezes the model and puts it into evaluation mode. Raises ValueError when it cannot be used."""
        self.hf_model = hf_model.requires_grad_(False).eval()
        self.config: Any = hf_model.config
        _check_supported(self.config)
        decoder = hf_model.model
        self.layers = list(decoder.layers)
        self.embed, self.rotary = decoder.embed_tokens, decoder.rotary_emb

    @torch.no_grad()
    def prefill(self, ids: torch.Tensor) -> Prompt:
        """The prompt with ids [T], through the model's own forward pass."""
        cache = self.hf_model(ids[None], use_cache=True, logits_to_keep=1).past_key_values
        # a copy, or the caches of all prompts kept would share storage with their transposes
        keys = tuple(layer.keys[0].transpose(0, 1).contiguous() for layer in cache.layers)
        values = tuple(layer.values[0].transpose(0, 1).contiguous() for layer in cache.layers)
        return Prompt(ids, keys, values)

    def rotation(self, hidden: torch.Tensor, positions: torch.Tensor) -> Rotation:
        """RoPE for rows [R, hidden] at `positions` [R]."""
        cos, sin = self.rotary(hidden[None], positions[None])
        return cos[0, :, None], sin[0, :, None]


def rotate(heads: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Rows [R, H, D] with RoPE applied, in the half-split layout of these models."""
    cos, sin = rotation
    first, second = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat([-second, first], dim=-1) * sin


def _check_supported(config: Any) -> None:
    if config.model_type not in MODEL_TYPES:
        raise ValueError(f"model_type: {config.model_type!r} is not supported; known: {', '.join(MODEL_TYPES)}")
    # Qwen configurations name a window that `layer_types` may leave unused
    types = getattr(config, "layer_types", None) or ["full_attention"]
    slides = "sliding_attention" in types
    if slides or (config.model_type == "mistral" and config.sliding_window is not None):
        raise ValueError(f"sliding_window: {config.sliding_window} is not supported; rows must see the whole prompt")
