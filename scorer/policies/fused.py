"""The votes of lookahead rows, window and first sampled token, weighted as calibration found best for each head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from scorer.kernels.pool_scores import pool_scores
from scorer.policies.base import Observation, Rows, check_pool_width, check_window_tokens, observed

# below any share that matters; a kind of row that looks at nothing evictable then votes for nothing
LEAST_MASS = 1e-20


@dataclass(frozen=True)
class FusedPolicy:
    """Ours: a mixture of distributions over the evictable tokens, one for each component.

    Components are the three kinds of rows, each as it is and smoothed over `pool_width` neighbours. The weights come
    with the adapter, by layer and KV head; `window_tokens` to `recent_tokens` must be those of their calibration.
    """

    window_tokens: int = 32  # rows that vote
    pool_width: int = 5  # tokens, odd
    sink_tokens: int = 4  # first and last tokens that are always kept, and so not part of the distributions
    recent_tokens: int = 32

    def __post_init__(self) -> None:
        check_window_tokens(self.window_tokens)
        check_pool_width(self.pool_width)
        for name in ("sink_tokens", "recent_tokens"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: {getattr(self, name)} must not be negative")

    @property
    def rows(self) -> Rows:
        return Rows(window=self.window_tokens, lookahead=True, first_token=True)

    def score(self, seen: Observation) -> torch.Tensor:
        weights = observed("fusion_weights", seen.fusion_weights).float()
        scores = torch.zeros(seen.layers, seen.kv_heads, seen.prompt_tokens, device=seen.device)
        for weight, component in zip(weights.unbind(dim=-1), self.components(seen), strict=True):
            scores += weight[..., None] * component
        return scores

    def components(self, seen: Observation) -> Iterator[torch.Tensor]:
        """In the order of the weights, each [L, Hkv, T]; over evictable tokens each head's sums to 1."""
        for name in ("lookahead_mass", "window_mass", "first_token_mass"):
            mass = observed(name, getattr(seen, name))
            yield self._distribution(mass)
            yield self._distribution(pool_scores(mass, self.pool_width))

    def _distribution(self, mass: torch.Tensor) -> torch.Tensor:
        evictable = mass[..., self.sink_tokens : max(self.sink_tokens, mass.shape[-1] - self.recent_tokens)]
        return mass / evictable.sum(dim=-1, keepdim=True).clamp_min(LEAST_MASS)
