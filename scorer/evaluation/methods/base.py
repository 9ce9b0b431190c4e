"""The contract of eviction methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from scorer.evaluation.examine import Examined
from scorer.selection import select


@dataclass(frozen=True)
class Protected:
    """Tokens that every method keeps."""

    sink_tokens: int = 4
    recent_tokens: int = 32

    @property
    def tokens(self) -> int:
        return self.sink_tokens + self.recent_tokens

    def select(self, scores: torch.Tensor, budget_tokens: int) -> torch.Tensor:
        """The positions to keep, [L, Hkv, K] int64, of scores [L, Hkv, T] float32."""
        return select(scores.contiguous(), budget_tokens, self.sink_tokens, self.recent_tokens)


@dataclass(frozen=True)
class Work:
    """One sample at one budget, which leaves something to evict."""

    sample: Examined
    budget_tokens: int


class Method(Protocol):
    """Chooses what stays of prompts."""

    def keep(self, works: Sequence[Work]) -> list[torch.Tensor]:
        """The positions to keep, [L, Hkv, K] int64 ascending, for each work. Drafts may serve many of them at once."""
        ...


class Scorer(Protocol):
    """Scores a prompt's tokens, whatever the budget."""

    def score(self, sample: Examined) -> torch.Tensor:
        """[L, Hkv, T] float32, finite; higher is kept."""
        ...


@dataclass(frozen=True)
class ByScore:
    """The method that a scorer makes: one score for all budgets of a sample."""

    scorer: Scorer
    protected: Protected

    def keep(self, works: Sequence[Work]) -> list[torch.Tensor]:
        scores: dict[str, torch.Tensor] = {}
        for work in works:
            if work.sample.sample.key not in scores:
                scores[work.sample.sample.key] = self.scorer.score(work.sample)
        return [self.protected.select(scores[work.sample.sample.key], work.budget_tokens) for work in works]


# of the draft methods' authors, both; our policies have their own
MAX_POOL_WIDTH = 7


def max_pooled(scores: torch.Tensor) -> torch.Tensor:
    """The maximum over neighbouring tokens, [L, Hkv, T]."""
    return F.max_pool1d(scores, MAX_POOL_WIDTH, stride=1, padding=MAX_POOL_WIDTH // 2)
