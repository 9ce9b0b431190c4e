"""LAQ: an answer is begun with an evicted cache, and its queries choose again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch

from scorer.evaluation.caches import Caches, kept_of
from scorer.evaluation.decode import greedy
from scorer.evaluation.examine import Examined
from scorer.evaluation.methods.base import Method, Protected, Work, max_pooled
from scorer.training.attend import Heads
from scorer.training.frozen_model import Prompt
from scorer.training.rows_forward import LookaheadModel, by_kv_head

# the last prompt tokens that vote beside the draft, as in the authors' LAQ++
WINDOW_TOKENS = 8


@dataclass
class DraftQueries:
    """The queries of every decoding step, by layer, each [B, Hq, D] with RoPE; what LAQ calls the Q-cache."""

    scale: float = 0.0
    layers: dict[int, list[torch.Tensor]] = field(default_factory=dict)

    def listen(self, layer: int, heads: Heads) -> None:
        """Remember one step of a layer."""
        self.scale = heads.scale
        self.layers.setdefault(layer, []).append(heads.queries)

    def of(self, index: int, steps: int) -> list[torch.Tensor]:
        """The first `steps` queries of one sequence, [steps, Hq, D] for each layer."""
        return [torch.stack([step[index] for step in layer[:steps]]) for layer in self.layers.values()]


@dataclass(frozen=True)
class LaqMethod:
    """Lookahead Q-Cache (arXiv 2505.20334), as its authors' LAQ++: SnapKV, a draft, and the draft's queries again.

    The queries are those of the draft as it was decoded, behind the evicted cache; they look at the whole prompt.
    """

    model: LookaheadModel
    first: Method  # what evicts for the draft, at the same budget
    protected: Protected
    draft_tokens: int
    ends: Collection[int]

    def keep(self, works: Sequence[Work]) -> list[torch.Tensor]:
        if not works:
            return []
        queries, steps = self.draft(works, self.first.keep(works))
        windows: dict[str, torch.Tensor] = {}
        found = []
        for index, work in enumerate(works):
            key = work.sample.sample.key
            windows.setdefault(key, self._window(work.sample))
            mass = query_mass(work.sample.prompt, queries.of(index, steps[index]), queries.scale)
            # a mean over all rows of both kinds
            scores = steps[index] * mass + WINDOW_TOKENS * windows[key]
            found.append(self.protected.select(max_pooled(scores), work.budget_tokens))
        return found

    def draft(self, works: Sequence[Work], kept: Sequence[torch.Tensor]) -> tuple[DraftQueries, list[int]]:
        """The queries of the drafts of all works, decoded together, and how many steps of each were needed."""
        contexts = [kept_of(work.sample.prompt, each) for work, each in zip(works, kept, strict=True)]
        first = torch.stack([work.sample.first_token for work in works])
        positions = first.new_tensor([work.sample.prompt.tokens for work in works])
        queries, caches = DraftQueries(), Caches(contexts, room=self.draft_tokens)
        # the first token costs no step: the prefill made it
        drafts = greedy(self.model.frozen, caches, first, positions, self.draft_tokens + 1, self.ends, queries.listen)
        return queries, [min(self.draft_tokens, len(draft)) for draft in drafts]

    def _window(self, sample: Examined) -> torch.Tensor:
        mass = self.model.mass(sample.prompt, window=WINDOW_TOKENS)["window"]
        return by_kv_head(mass, sample.prompt.keys[0].shape[1])


def query_mass(prompt: Prompt, queries: Sequence[torch.Tensor], scale: float) -> torch.Tensor:
    """Attention of queries [n, Hq, D] of each layer on the whole prompt, mean over rows and group, [L, Hkv, T]."""
    layers = []
    for rows, keys in zip(queries, prompt.keys, strict=True):
        grouped = rows.float().unflatten(1, (keys.shape[1], -1)).permute(1, 2, 0, 3).flatten(1, 2)  # [Hkv, G * n, D]
        logits = grouped @ keys.float().permute(1, 2, 0) * scale
        layers.append(logits.softmax(dim=-1).mean(dim=1))
    return torch.stack(layers)
