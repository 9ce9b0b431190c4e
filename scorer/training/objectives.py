"""What the lookahead rows' mass is asked to be, as a loss; L layers, Hq query heads, Hkv KV heads, T prompt tokens."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import torch

from scorer.training.ground_truth import GroundTruth
from scorer.training.rows_forward import by_kv_head

# far below any share that matters; keeps log and its gradient finite where a softmax underflows
LEAST_SHARE = 1e-20


@dataclass(frozen=True)
class Seen:
    """What the rows of a sample see: the lookahead rows' mass, and what the `fused` policy mixes of all kinds."""

    lookahead: torch.Tensor  # [L, Hq, T]
    components: torch.Tensor  # [L, Hkv, E, C], distributions over the E evictable tokens; the first is lookahead's
    fusion: torch.Tensor  # [L, Hkv, C], the present weights of the mixture


class Objective(Protocol):
    """A loss of one sample."""

    reads: ClassVar[Literal["mean", "max"]]  # the field of the truth

    def loss(self, seen: Seen, truth: GroundTruth) -> torch.Tensor:
        """A scalar that gradients go back from; 0 when there is nothing to learn."""
        ...


@dataclass(frozen=True)
class PaperObjective:
    """arXiv 2603.10899, eq. 4: KL(GT || predicted) of the mean mass, both l1-normalised, mean over layers and heads."""

    reads: ClassVar[Literal["mean", "max"]] = "mean"
    sink_tokens: int
    recent_tokens: int

    def loss(self, seen: Seen, truth: GroundTruth) -> torch.Tensor:
        """Over the whole prompt; tokens that are always kept count too."""
        return divergence(seen.lookahead, truth.mean).mean()


@dataclass(frozen=True)
class EvictableMaxObjective:
    """Ours: KL(GT || predicted) over evictable tokens, GT the maximum over the response's rows.

    What one answer token needs once counts as much as what all of them look at; tokens that are always kept teach
    nothing; each head counts by the target's mass that can be lost there.
    """

    reads: ClassVar[Literal["mean", "max"]] = "max"
    sink_tokens: int
    recent_tokens: int

    def loss(self, seen: Seen, truth: GroundTruth) -> torch.Tensor:
        """Of a prompt without evictable tokens it is 0, with gradient 0."""
        evictable = _evictable(self, seen.lookahead.shape[-1])
        target = truth.max[..., evictable]
        return _weighted(divergence(seen.lookahead[..., evictable], target), target)


@dataclass(frozen=True)
class FusedMaxObjective:
    """Ours: as evictable_max, by KV head, half of it of the lookahead rows alone and half of the `fused` mixture.

    The rows learn what neither the window nor the first token sees, and still score well without them.
    """

    reads: ClassVar[Literal["mean", "max"]] = "max"
    sink_tokens: int
    recent_tokens: int

    def loss(self, seen: Seen, truth: GroundTruth) -> torch.Tensor:
        """Of a prompt without evictable tokens it is 0, with gradient 0."""
        target = by_kv_head(truth.max, seen.components.shape[1])[..., _evictable(self, truth.max.shape[-1])]
        mixture = (seen.components * seen.fusion[..., None, :]).sum(dim=-1)
        both = divergence(seen.components[..., 0], target) + divergence(mixture, target)
        return _weighted(both / 2, target)


OBJECTIVES: dict[str, type[PaperObjective] | type[EvictableMaxObjective] | type[FusedMaxObjective]] = {
    "paper": PaperObjective,
    "evictable_max": EvictableMaxObjective,
    "fused_max": FusedMaxObjective,
}


def divergence(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """KL(target || predicted) in nats of masses [L, H, T] that need not sum to 1 -> [L, H]; of no tokens it is 0."""
    share, wanted = _shares(predicted), _shares(target)
    return torch.special.xlogy(wanted, wanted).sum(dim=-1) - (wanted * share.clamp_min(LEAST_SHARE).log()).sum(dim=-1)


def _weighted(each: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean over layers and heads [L, H] by the target's evictable mass there, that which can be lost."""
    weights = target.sum(dim=-1)
    return (each * weights).sum() / weights.sum().clamp_min(LEAST_SHARE)


def _evictable(objective: EvictableMaxObjective | FusedMaxObjective, tokens: int) -> slice:
    return slice(objective.sink_tokens, max(objective.sink_tokens, tokens - objective.recent_tokens))


def _shares(mass: torch.Tensor) -> torch.Tensor:
    return mass / mass.sum(dim=-1, keepdim=True).clamp_min(LEAST_SHARE)
