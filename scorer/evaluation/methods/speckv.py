"""SpecKV: someone cheap writes an answer, and what it looks at in the target is kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F

from scorer.evaluation.caches import Caches, whole
from scorer.evaluation.decode import greedy
from scorer.evaluation.examine import Examined
from scorer.evaluation.forward import prefill
from scorer.evaluation.methods.base import Protected, Work, max_pooled
from scorer.training.frozen_model import FrozenModel, Prompt
from scorer.training.ground_truth import ground_truth
from scorer.training.rows_forward import by_kv_head

# the self-drafter reads so much of the model
EXIT_AFTER = 1 / 3


class Drafter(Protocol):
    """Writes answers."""

    def drafts(self, samples: Sequence[Examined], max_tokens: int) -> list[torch.Tensor]:
        """Token ids [n] for each sample, at least one."""
        ...


@dataclass(frozen=True)
class SelfDrafter:
    """The target itself without its upper layers, behind the whole prompt; it is given the real first token.

    For models without a smaller one of the same tokenizer. It drafts worse than a model that was trained to be small.
    """

    frozen: FrozenModel
    ends: Collection[int]

    @property
    def layers(self) -> int:
        """How many of the model's layers it reads, from the first."""
        return max(1, round(len(self.frozen.layers) * EXIT_AFTER))

    def drafts(self, samples: Sequence[Examined], max_tokens: int) -> list[torch.Tensor]:
        caches = Caches([whole(sample.prompt, self.layers) for sample in samples], room=max_tokens)
        first = torch.stack([sample.first_token for sample in samples])
        positions = first.new_tensor([sample.prompt.tokens for sample in samples])
        return greedy(self.frozen, caches, first, positions, max_tokens, self.ends)


@dataclass(frozen=True)
class ModelDrafter:
    """A smaller model with the target's tokenizer, which reads the prompt itself."""

    frozen: FrozenModel
    ends: Collection[int]

    def drafts(self, samples: Sequence[Examined], max_tokens: int) -> list[torch.Tensor]:
        prompts, logits = zip(*(prefill(self.frozen, sample.prompt.ids) for sample in samples), strict=True)
        caches = Caches([whole(prompt) for prompt in prompts], room=max_tokens)
        first = torch.stack([each.argmax() for each in logits])
        positions = first.new_tensor([prompt.tokens for prompt in prompts])
        return greedy(self.frozen, caches, first, positions, max_tokens, self.ends)


class TargetDrafter:
    """The target with its whole cache. No deployment has it; it says how much better drafts could make the method."""

    def drafts(self, samples: Sequence[Examined], max_tokens: int) -> list[torch.Tensor]:
        return [sample.response[:max_tokens] for sample in samples]


@dataclass(frozen=True)
class SpecKvMethod:
    """SpecKV (arXiv 2506.08373): the largest attention of window rows and draft rows, in the target, max-pooled."""

    frozen: FrozenModel
    drafter: Drafter
    protected: Protected
    window_tokens: int
    draft_tokens: int

    def keep(self, works: Sequence[Work]) -> list[torch.Tensor]:
        samples = {work.sample.sample.key: work.sample for work in works}
        if not samples:
            return []
        drafts = self.drafter.drafts(list(samples.values()), self.draft_tokens)
        scores = {key: self.score(samples[key], draft) for key, draft in zip(samples, drafts, strict=True)}
        return [self.protected.select(scores[work.sample.sample.key], work.budget_tokens) for work in works]

    def score(self, sample: Examined, draft: torch.Tensor) -> torch.Tensor:
        """[L, Hkv, T]; the window's own tokens, which the method always keeps, are above all others."""
        ids, before = sample.prompt.ids, sample.prompt.tokens - self.window_tokens
        cut = Prompt(
            ids[:before],
            tuple(keys[:before] for keys in sample.prompt.keys),
            tuple(values[:before] for values in sample.prompt.values),
        )
        # the window and the draft as if both were an answer
        rows = torch.cat([ids[before:], draft])
        mass = by_kv_head(ground_truth(self.frozen, cut, rows).max, cut.keys[0].shape[1])
        return F.pad(max_pooled(mass), (0, self.window_tokens), value=2.0)
