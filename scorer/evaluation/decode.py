"""Greedy decoding of several sequences at once, from caches of any kind."""

from __future__ import annotations

from collections.abc import Collection

import torch

from scorer.evaluation.caches import Caches
from scorer.evaluation.forward import Listen, append_rows, logits
from scorer.training.frozen_model import FrozenModel


@torch.no_grad()
def greedy(
    frozen: FrozenModel,
    caches: Caches,
    first: torch.Tensor,
    positions: torch.Tensor,
    max_tokens: int,
    ends: Collection[int] = (),
    listen: Listen = lambda layer, heads: None,
) -> list[torch.Tensor]:
    """The tokens of each sequence, `max_tokens` at most, from its `first` [B], at positions [B], which is not decoded.

    They stop before a token of `ends`; only the first one may be such a token. `caches` need `max_tokens` - 1 slots
    of room.
    """
    stops = torch.tensor(sorted(ends), dtype=first.dtype, device=first.device)
    made, finished = [first], torch.isin(first, stops)
    while len(made) < max_tokens and not finished.all():
        hidden = append_rows(frozen, caches, made[-1][:, None], (positions + len(made) - 1)[:, None], listen=listen)
        made.append(logits(frozen, hidden[:, -1]).argmax(dim=-1))
        finished |= torch.isin(made[-1], stops)
    return [_until(row, stops) for row in torch.stack(made, dim=1)]


def _until(row: torch.Tensor, stops: torch.Tensor) -> torch.Tensor:
    at = torch.isin(row, stops).nonzero()
    return row[: max(1, int(at[0]))] if len(at) else row
