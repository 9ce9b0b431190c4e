"""The policies that serving has, as they are."""

from dataclasses import dataclass

import torch

from scorer.evaluation.examine import Examined
from scorer.policies.base import Policy


@dataclass(frozen=True)
class PolicyScorer:
    """A policy of `scorer.policies` on what its rows saw."""

    policy: Policy

    def score(self, sample: Examined) -> torch.Tensor:
        return self.policy.score(sample.seen)
