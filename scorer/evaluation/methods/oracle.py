"""The method that knows the answer."""

from dataclasses import dataclass
from typing import Literal

import torch

from scorer.evaluation.examine import Examined


@dataclass(frozen=True)
class OracleScorer:
    """The attention of the model's own answer on the prompt: over its rows the maximum or, as in the paper, the mean.

    It knows the model's answer, not the right one, and not which evicted tokens would have mattered to others.
    """

    of: Literal["mean", "max"]

    def score(self, sample: Examined) -> torch.Tensor:
        mass: torch.Tensor = getattr(sample.truth, self.of)
        return mass
