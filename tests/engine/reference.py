"""What eviction must give, computed with transformers: own prefill, own gather, and own scores and selection.

Only what an adapter scores is scored by `scorer.training` and the policies, which no engine is part of.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, DynamicCache

from scorer.adapters.weights import AdapterWeights
from scorer.policies import ADAPTER_POLICIES
from tests.engine.offline import OfflineScorer, fewest


@dataclass(frozen=True)
class Eviction:
    """As in the runtime's plan. With a `mass` the budget is its cap, 0 for none."""

    policy: str
    budget: int
    sinks: int = 4
    recent: int = 32
    window: int = 32
    pool: int = 5
    mass: float | None = None
    page: int = 1


class Reference:
    """A transformers model in float32 that evicts as the runtime should."""

    def __init__(self, model_path: Path, adapter: AdapterWeights | None = None) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(
            model_path, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        self.kv_heads = self.model.config.num_key_value_heads
        self.offline = OfflineScorer(self.model, adapter) if adapter else None

    def without_lora(self) -> "Reference":
        """The same, but for LoRA: a fault that tests must see."""
        assert self.offline, "this reference was made without an adapter"
        other, adapter = copy.copy(self), self.offline.adapter
        other.offline = OfflineScorer(self.model, replace(adapter, layers=({},) * len(adapter.layers)))
        return other

    @torch.no_grad()
    def generate(
        self,
        ids: Sequence[int],
        new_tokens: int,
        eviction: Eviction | None = None,
        *,
        position_shift: int = 0,
        swap_heads: bool = False,
    ) -> tuple[list[int], torch.Tensor | None]:
        """Greedy tokens, and the kept positions [L, Hkv, K]. The two faults must make a difference that tests see."""
        cache, first, votes = self._prefill(ids, eviction.window if eviction else 1)
        kept = self._keep(ids, cache, first, votes, eviction) if eviction else None
        if kept is not None:
            gather(cache, kept.flip(1) if swap_heads else kept)
        held, tokens = cache.get_seq_length(), [first]
        for step in range(new_tokens - 1):
            position = torch.tensor([[len(ids) + step + position_shift]])
            out = self.model(
                torch.tensor([tokens[-1:]]),
                past_key_values=cache,
                position_ids=position,
                cache_position=torch.tensor([held + step]),
            )
            tokens.append(int(out.logits[0, -1].argmax()))
        return tokens, kept

    @torch.no_grad()
    def kept_sets(self, ids: Sequence[int], evictions: Sequence[Eviction]) -> list[torch.Tensor]:
        """The kept positions of each eviction, by one prefill."""
        cache, first, votes = self._prefill(ids, evictions[0].window)
        return [self._keep(ids, cache, first, votes, eviction) for eviction in evictions]

    def _keep(
        self, ids: Sequence[int], cache: DynamicCache, first: int, votes: torch.Tensor, eviction: Eviction
    ) -> torch.Tensor:
        if eviction.policy in ADAPTER_POLICIES:
            assert self.offline, "this reference was made without an adapter"
            return self.offline.keep(ids, cache, first, eviction)
        return keep(votes, len(ids), eviction, self.kv_heads)

    def _prefill(self, ids: Sequence[int], window: int) -> tuple[DynamicCache, int, torch.Tensor]:
        """The cache, the first token, and the attention of the last rows by query head, [L, Hq, window, T]."""
        before = self.model(torch.tensor([ids[:-window]]), use_cache=True, logits_to_keep=1)
        cache = before.past_key_values
        out = self.model(torch.tensor([ids[-window:]]), past_key_values=cache, logits_to_keep=1, output_attentions=True)
        return cache, int(out.logits[0, -1].argmax()), torch.cat(out.attentions)


def keep(votes: torch.Tensor, tokens: int, eviction: Eviction, kv_heads: int) -> torch.Tensor:
    """Kept positions, ascending, [L, Hkv, K]: SnapKV's, or sinks and recent tokens."""
    if eviction.policy == "streaming":
        recent = torch.arange(tokens - eviction.budget + eviction.sinks, tokens)
        return torch.cat([torch.arange(eviction.sinks), recent]).expand(len(votes), kv_heads, -1)
    by_head = votes.mean(dim=2).unflatten(1, (kv_heads, -1)).mean(dim=2)  # [L, Hkv, T]
    if eviction.mass is not None:
        return fewest(by_head, eviction, lambda budget: keep(votes, tokens, fixed(eviction, budget), kv_heads))
    score = by_head.clone()
    prefix = tokens - eviction.window
    score[..., :prefix] = F.avg_pool1d(by_head[..., :prefix], eviction.pool, 1, eviction.pool // 2, False, False)
    score[..., : eviction.sinks] = score[..., tokens - eviction.recent :] = torch.inf
    return score.topk(eviction.budget, dim=-1).indices.sort(dim=-1).values


def fixed(eviction: Eviction, budget: int) -> Eviction:
    """The same with a budget in place of a mass."""
    return replace(eviction, budget=budget, mass=None)


def gather(cache: DynamicCache, kept: torch.Tensor) -> None:
    """Leave only the kept positions of each layer and head in the cache."""
    for layer, positions in zip(cache.layers, kept, strict=True):
        index = positions[None, :, :, None].expand(1, -1, -1, layer.keys.shape[3])
        layer.keys, layer.values = layer.keys.gather(2, index), layer.values.gather(2, index)
