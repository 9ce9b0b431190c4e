"""What is known of a sample before anything is evicted: its answer with the whole cache, and what looked where."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from scorer.adapters.weights import AdapterWeights
from scorer.evaluation.caches import Caches, whole
from scorer.evaluation.decode import greedy
from scorer.evaluation.forward import prefill
from scorer.evaluation.samples import EvalSample
from scorer.policies.base import Observation
from scorer.training.frozen_model import Prompt
from scorer.training.ground_truth import GroundTruth, ground_truth
from scorer.training.rows_forward import LookaheadModel, by_kv_head


@dataclass(frozen=True)
class Examined:
    """A prefilled sample. L layers, Hkv KV heads, T prompt tokens, V words."""

    sample: EvalSample
    prompt: Prompt
    first_logits: torch.Tensor  # [V] float32, of the answer's first token
    response: torch.Tensor  # [n] int64, the model's own greedy answer with the whole cache
    truth: GroundTruth  # attention of the response's rows, [L, Hkv, T]
    seen: Observation  # by the rows of all policies in one pass

    @property
    def first_token(self) -> torch.Tensor:
        """What is sampled greedily before anything is evicted, a scalar int64."""
        return self.first_logits.argmax()


@dataclass(frozen=True)
class Examiner:
    """Examines samples with one model and perhaps an adapter."""

    model: LookaheadModel
    adapter: AdapterWeights | None
    window_tokens: int
    truth_tokens: int  # rows of the response that the ground truth is made of

    @torch.no_grad()
    def examine(self, samples: Sequence[EvalSample], max_tokens: int, ends: Collection[int]) -> list[Examined]:
        """`samples` with answers of up to `max_tokens`, decoded together."""
        frozen = self.model.frozen
        prompts, first_logits = zip(*(prefill(frozen, sample.ids) for sample in samples), strict=True)
        caches = Caches([whole(prompt) for prompt in prompts], room=max_tokens)
        first = torch.stack([each.argmax() for each in first_logits])
        positions = torch.tensor([prompt.tokens for prompt in prompts])
        responses = greedy(frozen, caches, first, positions, max_tokens, ends)
        everything = zip(samples, prompts, first_logits, responses, strict=True)
        return [
            Examined(sample, prompt, each, response, self._truth(prompt, response), self._seen(prompt, each))
            for sample, prompt, each, response in everything
        ]

    def _truth(self, prompt: Prompt, response: torch.Tensor) -> GroundTruth:
        truth = ground_truth(self.model.frozen, prompt, response[: self.truth_tokens])
        kv_heads = prompt.keys[0].shape[1]
        return GroundTruth(by_kv_head(truth.mean, kv_heads), by_kv_head(truth.max, kv_heads))

    def _seen(self, prompt: Prompt, first_logits: torch.Tensor) -> Observation:
        first_token = int(first_logits.argmax()) if self.adapter is not None else None
        masses = self.model.mass(prompt, self.adapter, self.window_tokens, first_token)
        kv_heads = prompt.keys[0].shape[1]
        seen = {name: by_kv_head(mass, kv_heads) for name, mass in masses.items()}
        return Observation(
            layers=len(prompt.keys),
            kv_heads=kv_heads,
            prompt_tokens=prompt.tokens,
            device=prompt.ids.device,
            window_mass=seen["window"],
            lookahead_mass=seen.get("lookahead"),
            first_token_mass=seen.get("first"),
            fusion_weights=None if self.adapter is None else self.adapter.fusion,
        )
