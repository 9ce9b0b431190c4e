"""What the lookahead rows' mass is asked to be, as a loss; L layers, Hq query heads, T prompt tokens."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch

from scorer.training.ground_truth import GroundTruth

# far below any share that matters; keeps log and its gradient finite where a softmax underflows
LEAST_SHARE = 1e-20


class Objective(Protocol):
    """A loss of one sample."""

    reads: ClassVar[Literal["mean", "max"]]  # the field of the truth

    def loss(self, predicted: torch.Tensor, truth: GroundTruth) -> torch.Tensor:
        """Of the lookahead rows' mass [L, Hq, T] float32: a scalar, 0 when there is nothing to learn."""
        ...


@dataclass(frozen=True)
class PaperObjective:
    """arXiv 2603.10899, eq. 4: KL(GT || predicted) of the mean mass, both l1-normalised, mean over layers and heads."""

    reads: ClassVar[Literal["mean", "max"]] = "mean"
    sink_tokens: int
    recent_tokens: int

    def loss(self, predicted: torch.Tensor, truth: GroundTruth) -> torch.Tensor:
        """Over the whole prompt; tokens that are always kept count too."""
        return divergence(predicted, truth.mean).mean()


@dataclass(frozen=True)
class EvictableMaxObjective:
    """Ours: KL(GT || predicted) over evictable tokens, GT the maximum over the response's rows.

    What one answer token needs once counts as much as what all of them look at; tokens that are always kept teach
    nothing; each head counts by the target's mass that can be lost there.
    """

    reads: ClassVar[Literal["mean", "max"]] = "max"
    sink_tokens: int
    recent_tokens: int

    def loss(self, predicted: torch.Tensor, truth: GroundTruth) -> torch.Tensor:
        """Of a prompt without evictable tokens it is 0, with gradient 0."""
        evictable = slice(self.sink_tokens, max(self.sink_tokens, predicted.shape[-1] - self.recent_tokens))
        target = truth.max[..., evictable]
        weights = target.sum(dim=-1)
        weighted = divergence(predicted[..., evictable], target) * weights
        return weighted.sum() / weights.sum().clamp_min(LEAST_SHARE)


OBJECTIVES: dict[str, type[PaperObjective] | type[EvictableMaxObjective]] = {
    "paper": PaperObjective,
    "evictable_max": EvictableMaxObjective,
}


def divergence(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """KL(target || predicted) in nats of masses [L, Hq, T] that need not sum to 1 -> [L, Hq]; of no tokens it is 0."""
    share, wanted = _shares(predicted), _shares(target)
    return torch.special.xlogy(wanted, wanted).sum(dim=-1) - (wanted * share.clamp_min(LEAST_SHARE).log()).sum(dim=-1)


def _shares(mass: torch.Tensor) -> torch.Tensor:
    return mass / mass.sum(dim=-1, keepdim=True).clamp_min(LEAST_SHARE)
