"""The weights of the `fused` policy: a mixture of distributions, fitted by expectation maximisation.

L layers, Hkv KV heads, E evictable tokens, C components in the order of FUSION_COMPONENTS. The problem is convex, has
no learning rate, and costs nothing beside a training step, so the weights follow the lookahead rows as these learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch

from scorer.adapters.config import FusionConfig
from scorer.policies.base import Observation
from scorer.policies.fused import FusedPolicy
from scorer.training.prepared import Votes
from scorer.training.rows_forward import by_kv_head

LEAST_SHARE = 1e-20
# of what earlier samples said, by sample: some two hundred of them have a say, the last ones the most
MEMORY = 0.995


def components(lookahead: torch.Tensor, votes: Votes, config: FusionConfig) -> torch.Tensor:
    """What the policy mixes, [L, Hkv, E, C]; of lookahead rows' mass [L, Hq, T], which gradients reach."""
    layers, kv_heads, tokens = votes.window.shape
    seen = Observation(
        layers,
        kv_heads,
        tokens,
        lookahead.device,
        window_mass=votes.window,
        lookahead_mass=by_kv_head(lookahead, kv_heads),
        first_token_mass=votes.first_token,
    )
    policy = FusedPolicy(**config.model_dump())
    return torch.stack([each[..., evictable(tokens, config)] for each in policy.components(seen)], dim=-1)


def evictable(tokens: int, config: FusionConfig) -> slice:
    """The tokens of a prompt that are not always kept; may be none."""
    return slice(config.sink_tokens, max(config.sink_tokens, tokens - config.recent_tokens))


@dataclass(frozen=True)
class FusionFit:
    """Running sums of the expectation step: target mass that each component explains, and all of it."""

    explained: torch.Tensor  # [L, Hkv, C]
    total: torch.Tensor  # [L, Hkv]

    @classmethod
    def start(cls, weights: torch.Tensor) -> Self:
        """With no evidence; `weights` [L, Hkv, C] give shape and device."""
        return cls(torch.zeros_like(weights), torch.zeros_like(weights[..., 0]))

    @torch.no_grad()
    def with_sample(self, mixed: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> Self:
        """After one sample: components [L, Hkv, E, C], target mass [L, Hkv, E], the mixture's present weights."""
        shares = mixed * weights[..., None, :]
        shares = shares / shares.sum(dim=-1, keepdim=True).clamp_min(LEAST_SHARE)
        explained = torch.einsum("lhe,lhec->lhc", target, shares)
        return type(self)(MEMORY * self.explained + explained, MEMORY * self.total + target.sum(dim=-1))

    def weights(self, before: torch.Tensor) -> torch.Tensor:
        """The maximisation step, [L, Hkv, C]; a head without evidence keeps what it had `before`."""
        known = self.explained.sum(dim=-1, keepdim=True)
        return torch.where(known > LEAST_SHARE, self.explained / known.clamp_min(LEAST_SHARE), before)
