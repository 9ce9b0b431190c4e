"""From scores and a budget to the tokens that stay."""

from collections.abc import Sequence

import torch

from scorer.kernels.top_tokens import top_tokens

# bounds the scratch of `retained_by_budget`, which needs some 40 bytes for each
SORTED_AT_ONCE = 2**22


def select(scores: torch.Tensor, budget_tokens: int, sink_tokens: int, recent_tokens: int) -> torch.Tensor:
    """The positions to keep, ascending, the same number for every layer and KV head.

    scores [L, Hkv, T] float32, higher is kept -> [L, Hkv, budget_tokens] int64. Of equal scores those of
    earlier tokens. The first `sink_tokens` and the last `recent_tokens` are always kept. Raises ValueError when they
    alone exceed the budget, or the budget the prompt.
    """
    _check_budget(scores, budget_tokens, sink_tokens, recent_tokens)
    return top_tokens(scores, budget_tokens, sink_tokens, recent_tokens)


def retained_mass(mass: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Share of `mass` [L, Hkv, T] that lies on `kept` [L, Hkv, K]: a float32 scalar, mean over layers and heads."""
    return (mass.gather(-1, kept).sum(-1) / mass.sum(-1)).mean()


def retained_by_budget(
    scores: torch.Tensor, mass: torch.Tensor, budgets: Sequence[int], sink_tokens: int, recent_tokens: int
) -> torch.Tensor:
    """`retained_mass` of what `select` keeps with each of `budgets`, ascending: [len(budgets)] float64.

    One sort of the scores in place of a selection for each, as what a budget keeps every larger one keeps. Does not
    wait for a device. Raises ValueError as `select` does.
    """
    for budget in budgets:
        _check_budget(scores, budget, sink_tokens, recent_tokens)
    layers, kv_heads, tokens = scores.shape
    layers_at_once = max(1, SORTED_AT_ONCE // (kv_heads * tokens))
    total = scores.new_zeros(len(budgets), dtype=torch.float64)
    for some, their_mass in zip(scores.split(layers_at_once), mass.split(layers_at_once), strict=True):
        protected = some.clone()
        protected[..., :sink_tokens] = torch.inf
        protected[..., tokens - recent_tokens :] = torch.inf
        # stable, so that of equal scores those of earlier tokens come first, as in `select`
        best_first = protected.argsort(dim=-1, descending=True, stable=True)
        held = their_mass.gather(-1, best_first).cumsum(-1, dtype=torch.float64)
        shares = torch.stack([held[..., budget - 1] for budget in budgets], dim=-1) / held[..., -1:]
        total += shares.sum((0, 1))
    return total / (layers * kv_heads)


def _check_budget(scores: torch.Tensor, budget_tokens: int, sink_tokens: int, recent_tokens: int) -> None:
    tokens = scores.shape[-1]
    if not sink_tokens + recent_tokens <= budget_tokens <= tokens:
        raise ValueError(
            f"budget_tokens: {budget_tokens} must be at least sink_tokens + recent_tokens = "
            f"{sink_tokens + recent_tokens} and at most the prompt's {tokens} tokens"
        )
