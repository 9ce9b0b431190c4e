"""How much of what the response looked at would stay in the cache, for an adapter, the window and the oracle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from scorer.adapters.weights import AdapterWeights
from scorer.selection import retained_mass, select
from scorer.training.fusion import components
from scorer.training.objectives import LEAST_SHARE
from scorer.training.prepared import PreparedSamples
from scorer.training.rows_forward import LookaheadModel, by_kv_head
from scorer.training.settings import TrainingSettings


@dataclass(frozen=True)
class Retained:
    """Share of the ground truth's mass on evictable tokens that stays, mean over layers, KV heads and samples.

    `of` says which mass: the response rows' mean, or their maximum. The oracle knows the one it is judged by.
    """

    of: str
    scores: str  # lookahead, fused, window or oracle
    budget_ratio: float  # kept share of the evictable tokens
    retained: float
    samples: int


# of which mass, by which scores, at which ratio
Cell = tuple[str, str, float]


@torch.no_grad()
def validate(
    model: LookaheadModel, samples: PreparedSamples, adapter: AdapterWeights, settings: TrainingSettings
) -> list[Retained]:
    """Every combination of mass, scores and budget. Samples without evictable tokens are left out."""
    found: dict[Cell, list[float]] = {}
    for index in range(len(samples)):
        if len(samples.ids(index)) > settings.sink_tokens + settings.recent_tokens:
            for cell, value in _sample(model, samples, index, adapter, settings):
                found.setdefault(cell, []).append(value)
    return [Retained(*cell, sum(values) / len(values), len(values)) for cell, values in found.items()]


def _sample(
    model: LookaheadModel, samples: PreparedSamples, index: int, adapter: AdapterWeights, settings: TrainingSettings
) -> Iterator[tuple[Cell, float]]:
    prompt, truth, votes = samples.prompt(index), samples.truth(index), samples.votes(index)
    # what always stays is no merit
    kept = slice(settings.sink_tokens, prompt.tokens - settings.recent_tokens)
    heads = votes.window.shape[1]
    lookahead = model.lookahead_masses([prompt], adapter)[0]
    mixed = components(lookahead, votes, adapter.config.fusion)
    scores = {
        "lookahead": by_kv_head(lookahead, heads)[..., kept],
        "fused": (mixed * adapter.fusion[..., None, :]).sum(dim=-1),
        "window": votes.window[..., kept],
    }
    for of, mass in (("mean", truth.mean), ("max", truth.max)):
        judged = by_kv_head(mass, heads)[..., kept].clamp_min(LEAST_SHARE)
        for name, each in {**scores, "oracle": judged}.items():
            for ratio in settings.budget_ratios:
                chosen = select(each.contiguous(), math.ceil(ratio * each.shape[-1]), 0, 0)
                yield (of, name, ratio), retained_mass(judged, chosen).item()
