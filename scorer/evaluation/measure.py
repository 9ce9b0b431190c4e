"""A sample's results: every method's cache against the whole one, all methods of a budget in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from scorer.evaluation.caches import kept_of, whole
from scorer.evaluation.examine import Examined
from scorer.evaluation.forced import Continuation, Predicted, predict
from scorer.evaluation.methods import FULL
from scorer.evaluation.methods.base import Protected
from scorer.evaluation.metrics import agreement, answer_nll, divergence, retained_evictable
from scorer.evaluation.results import Result
from scorer.evaluation.samples import EvalSample
from scorer.training.frozen_model import FrozenModel

# the budget of the whole cache
ALL = "100%"


@dataclass(frozen=True)
class Kept:
    """What a method keeps of a sample at a budget, [L, Hkv, K] int64."""

    sample: Examined
    method: str
    budget: str
    positions: torch.Tensor


@dataclass(frozen=True)
class Measure:
    """Compares caches on the first `response_tokens` of full KV's answer, and on the right answer."""

    frozen: FrozenModel
    protected: Protected
    response_tokens: int

    def results(self, sample: Examined, kept: Sequence[Kept]) -> Iterator[Result]:
        """Of the whole cache, then of each of `kept`, which are of this sample."""
        text = self._continuation(sample)
        full = predict(self.frozen, [whole(sample.prompt)], text)
        nll = answer_nll(full.answer, text.answer).item()
        replayed = answer_nll(full.replayed_answer, text.answer).item()
        yield _result(sample.sample, FULL, ALL, sample.prompt.tokens, 1.0, 1.0, nll, 0.0, 1.0, None, replayed)
        for label in dict.fromkeys(each.budget for each in kept):
            yield from self._compared(sample, [each for each in kept if each.budget == label], full, text)

    def _compared(
        self, sample: Examined, cases: Sequence[Kept], full: Predicted, text: Continuation
    ) -> Iterator[Result]:
        evicted = predict(self.frozen, [kept_of(sample.prompt, each.positions) for each in cases], text)
        columns = zip(
            cases,
            answer_nll(evicted.answer, text.answer).tolist(),
            divergence(full.response[0], evicted.response).tolist(),
            agreement(full.response[0], evicted.response).tolist(),
            answer_nll(evicted.replayed_answer, text.answer).tolist(),
            strict=True,
        )
        for case, nll, kl, same, replayed in columns:
            retained = (
                retained_evictable(mass, case.positions, self.protected)
                for mass in (sample.truth.max, sample.truth.mean)
            )
            kept_tokens = case.positions.shape[-1]
            yield _result(
                sample.sample, case.method, case.budget, kept_tokens, *retained, nll, kl, same, None, replayed
            )

    def _continuation(self, sample: Examined) -> Continuation:
        response, answer = sample.response[: self.response_tokens], sample.sample.answer_ids
        # without a known answer the model's own stands in
        right = response if answer is None else answer
        return Continuation(sample.prompt.tokens, sample.first_logits, right, response, sample.prompt.ids[-1])


def _result(sample: EvalSample, method: str, budget: str, kept_tokens: int, *metrics: float | None) -> Result:
    return Result(sample.key, sample.family, sample.templated, sample.tokens, method, budget, kept_tokens, *metrics)
