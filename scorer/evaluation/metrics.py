"""How far an answer with an evicted cache is from the one with the whole cache."""

from __future__ import annotations

import torch

from scorer.evaluation.methods.base import Protected
from scorer.training.objectives import LEAST_SHARE


def answer_nll(logits: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
    """Mean nats per token, [M]; logits [M, A, V] float32 predict the tokens of `answer` [A]."""
    chosen = logits.gather(-1, answer.expand(len(logits), -1)[..., None])[..., 0]
    return (logits.logsumexp(dim=-1) - chosen).mean(dim=-1)


def divergence(full: torch.Tensor, evicted: torch.Tensor) -> torch.Tensor:
    """KL(full || evicted) in nats, mean per token, [M]; logits [R, V] and [M, R, V] float32."""
    log_full = full.log_softmax(dim=-1)
    probabilities = log_full.exp()
    entropy = (probabilities * log_full).sum(dim=-1)  # [R], negative
    # sum p log q without a [M, R, V] tensor of log q
    expected = torch.einsum("rv,mrv->mr", probabilities, evicted) - evicted.logsumexp(dim=-1)
    return (entropy - expected).mean(dim=-1)


def agreement(full: torch.Tensor, evicted: torch.Tensor) -> torch.Tensor:
    """Share of positions whose likeliest token is the same, [M]; logits as in `divergence`."""
    return (evicted.argmax(dim=-1) == full.argmax(dim=-1)).float().mean(dim=-1)


def retained_evictable(mass: torch.Tensor, kept: torch.Tensor, protected: Protected) -> float:
    """Share of `mass` [L, Hkv, T] on evictable tokens that stays with `kept` [L, Hkv, K]; mean over layers and heads.

    What our methods always keep is no merit, and not counted.
    """
    evictable = slice(protected.sink_tokens, mass.shape[-1] - protected.recent_tokens)
    stays = torch.zeros_like(mass).scatter_(-1, kept, 1.0)[..., evictable]
    judged = mass[..., evictable].clamp_min(LEAST_SHARE)
    return ((judged * stays).sum(dim=-1) / judged.sum(dim=-1)).mean().item()
