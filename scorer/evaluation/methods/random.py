"""The method that knows nothing."""

from dataclasses import dataclass

import torch

from scorer.evaluation.examine import Examined


@dataclass(frozen=True)
class RandomScorer:
    """Uniform scores, other ones for each layer and head; the same for the same prompt and seed."""

    seed: int

    def score(self, sample: Examined) -> torch.Tensor:
        # the key is hexadecimal; torch takes seeds below 2**63
        seed = (int(sample.sample.key, 16) ^ self.seed) % 2**63
        mass = sample.truth.mean
        return torch.rand(mass.shape, generator=torch.Generator().manual_seed(seed)).to(mass.device)
