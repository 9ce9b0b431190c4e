"""The vote of the last prompt tokens."""

from dataclasses import dataclass

import torch

from scorer.kernels.pool_scores import pool_scores
from scorer.policies.base import Observation, Rows


@dataclass(frozen=True)
class WindowPolicy:
    """SnapKV (arXiv 2404.14469). The window itself is not pooled; `recent_tokens` of the request protects it."""

    window_tokens: int = 32  # rows that vote
    pool_width: int = 5  # tokens, odd

    def __post_init__(self) -> None:
        if self.window_tokens < 1:
            raise ValueError(f"window_tokens: {self.window_tokens} must be at least 1")
        if self.pool_width < 1 or self.pool_width % 2 == 0:
            raise ValueError(f"pool_width: {self.pool_width} must be odd and positive")

    @property
    def rows(self) -> Rows:
        return Rows(window=self.window_tokens)

    def score(self, seen: Observation) -> torch.Tensor:
        if seen.window_mass is None:
            raise ValueError("window_mass: is missing; run the scoring pass with this policy's rows")
        before, window = seen.window_mass.split([seen.prompt_tokens - self.window_tokens, self.window_tokens], dim=-1)
        return torch.cat([pool_scores(before, self.pool_width), window], dim=-1)
