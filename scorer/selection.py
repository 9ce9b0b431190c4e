"""From scores and a budget to the tokens that stay."""

import torch

from scorer.kernels.top_tokens import top_tokens


def select(scores: torch.Tensor, budget_tokens: int, sink_tokens: int, recent_tokens: int) -> torch.Tensor:
    """The positions to keep, ascending, the same number for every layer and KV head.

    scores [L, Hkv, T] float32, higher is kept -> [L, Hkv, budget_tokens] int64. Of equal scores those of
    earlier tokens. The first `sink_tokens` and the last `recent_tokens` are always kept. Raises ValueError when they
    alone exceed the budget, or the budget the prompt.
    """
    tokens = scores.shape[-1]
    if not sink_tokens + recent_tokens <= budget_tokens <= tokens:
        raise ValueError(
            f"budget_tokens: {budget_tokens} must be at least sink_tokens + recent_tokens = "
            f"{sink_tokens + recent_tokens} and at most the prompt's {tokens} tokens"
        )
    return top_tokens(scores, budget_tokens, sink_tokens, recent_tokens)


def retained_mass(mass: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Share of `mass` [L, Hkv, T] that lies on `kept` [L, Hkv, K]: a float32 scalar, mean over layers and heads."""
    return (mass.gather(-1, kept).sum(-1) / mass.sum(-1)).mean()
