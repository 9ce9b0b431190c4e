"""What `lookahead` and `fused` must keep, by the differentiable scoring pass that adapters are trained with."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DynamicCache

from scorer.adapters.weights import AdapterWeights
from scorer.adaptive import budget_grid
from scorer.policies import load_policy
from scorer.policies.base import Observation
from scorer.selection import retained_mass, select
from scorer.training.frozen_model import Prompt
from scorer.training.rows_forward import LookaheadModel, by_kv_head

# the runtime's floors without a scorer
MIN_BUDGET, MIN_EVICTED = 64, 64


class OfflineScorer:
    """An adapter beside a transformers model, without any engine."""

    def __init__(self, model: Any, adapter: AdapterWeights) -> None:
        self.model = LookaheadModel(model)
        self.adapter = adapter

    @torch.no_grad()
    def scores(self, ids: Sequence[int], cache: DynamicCache, first_token: int, policy_name: str) -> torch.Tensor:
        """Scores [L, Hkv, T] of a prompt whose K/V are in `cache`."""
        params = self.adapter.config.fusion.model_dump() if policy_name == "fused" else {}
        policy = load_policy(policy_name)(**params)
        prompt = Prompt(
            torch.tensor(ids),
            tuple(layer.keys[0].transpose(0, 1) for layer in cache.layers),
            tuple(layer.values[0].transpose(0, 1) for layer in cache.layers),
        )
        first = first_token if policy.rows.first_token else None
        mass = self.model.mass(prompt, self.adapter, window=policy.rows.window, first_token=first)
        layers, kv_heads = len(prompt.keys), prompt.keys[0].shape[1]
        by_head = {name: by_kv_head(each, kv_heads) for name, each in mass.items()}
        return policy.score(
            Observation(
                layers,
                kv_heads,
                prompt.tokens,
                torch.device("cpu"),
                window_mass=by_head.get("window"),
                lookahead_mass=by_head["lookahead"],
                first_token_mass=by_head.get("first"),
                fusion_weights=self.adapter.fusion,
            )
        )

    def keep(self, ids: Sequence[int], cache: DynamicCache, first_token: int, eviction: Any) -> torch.Tensor:
        """Kept positions [L, Hkv, K]."""
        scores = self.scores(ids, cache, first_token, eviction.policy)

        def keep(budget: int) -> torch.Tensor:
            return select(scores, budget, eviction.sinks, eviction.recent)

        return keep(eviction.budget) if eviction.mass is None else fewest(scores, eviction, keep)


def fewest(predicted: torch.Tensor, eviction: Any, keep: Callable[[int], torch.Tensor]) -> torch.Tensor:
    """What `keep` keeps with the smallest budget that holds the mass of `predicted` [L, Hkv, T], else with the largest.

    Each budget is tried.
    """
    cap = eviction.budget or (predicted.shape[-1] - MIN_EVICTED) // eviction.page * eviction.page
    for budget in budget_grid(max(MIN_BUDGET, eviction.sinks + eviction.recent), cap, eviction.page):
        kept = keep(budget)
        if retained_mass(predicted.double(), kept) >= eviction.mass:
            break
    return kept
