"""The vote of the last prompt tokens."""

from dataclasses import dataclass

import torch

from scorer.kernels.pool_scores import pool_scores
from scorer.policies.base import Observation, Rows, check_pool_width, check_window_tokens, observed


@dataclass(frozen=True)
class WindowPolicy:
    """SnapKV (arXiv 2404.14469). The window itself is not pooled; `recent_tokens` of the request protects it."""

    window_tokens: int = 32  # rows that vote
    pool_width: int = 5  # tokens, odd

    def __post_init__(self) -> None:
        check_window_tokens(self.window_tokens)
        check_pool_width(self.pool_width)

    @property
    def rows(self) -> Rows:
        return Rows(window=self.window_tokens)

    def score(self, seen: Observation) -> torch.Tensor:
        mass = observed("window_mass", seen.window_mass)
        before, window = mass.split([seen.prompt_tokens - self.window_tokens, self.window_tokens], dim=-1)
        return torch.cat([pool_scores(before, self.pool_width), window], dim=-1)
