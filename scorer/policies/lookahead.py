"""The vote of the adapter's learned rows."""

from dataclasses import dataclass

import torch

from scorer.kernels.pool_scores import pool_scores
from scorer.policies.base import Observation, Rows, check_pool_width, observed


@dataclass(frozen=True)
class LookaheadPolicy:
    """LookaheadKV (arXiv 2603.10899): the mean attention of the lookahead rows, which a trained adapter makes."""

    pool_width: int = 1  # tokens, odd; 1 leaves the scores as they are

    def __post_init__(self) -> None:
        check_pool_width(self.pool_width)

    @property
    def rows(self) -> Rows:
        return Rows(lookahead=True)

    def score(self, seen: Observation) -> torch.Tensor:
        mass = observed("lookahead_mass", seen.lookahead_mass)
        return mass if self.pool_width == 1 else pool_scores(mass, self.pool_width)
