"""Results of pressed samples, by the same passes and metrics as those of our own methods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch

from scorer.evaluation.accuracy import answer_tokens
from scorer.evaluation.caches import Caches, Context
from scorer.evaluation.decode import greedy
from scorer.evaluation.forced import Continuation, predict
from scorer.evaluation.metrics import agreement, answer_nll, divergence
from scorer.evaluation.peers.pressed import Answered, Pressed, kept_tokens
from scorer.evaluation.peers.presses import Case
from scorer.evaluation.peers.replay import replayed_logits
from scorer.evaluation.results import Result
from scorer.training.data.grade import grade
from scorer.training.frozen_model import FrozenModel

# one budget's answers of a sample, graded
Grades = dict[Case, float]


@dataclass(frozen=True)
class PeerMeasure:
    """Compares caches on the first `response_tokens` of full KV's answer, and on the right answer.

    At `accuracy_budgets` answers are decoded too, and graded as `text`, where full KV's is right.
    """

    frozen: FrozenModel
    response_tokens: int
    accuracy_budgets: Collection[str]
    ends: Collection[int]
    text: Callable[[torch.Tensor], str]

    def answer(self, pressed: Sequence[Pressed]) -> list[Answered]:
        """Greedy answers with the whole caches, decoded together."""
        longest = max(self.response_tokens, *(answer_tokens(each.sample) for each in pressed))
        responses = self._decode(pressed, [each.whole for each in pressed], longest)
        return [Answered(each, response) for each, response in zip(pressed, responses, strict=True)]

    def results(self, answered: Answered) -> Iterator[Result]:
        """Of each case, those of a budget in one pass."""
        cases = answered.pressed.kept
        grades = self._grades(answered)
        for label in dict.fromkeys(case.budget for case in cases):
            yield from self._compared(answered, [case for case in cases if case.budget == label], grades)

    def _compared(self, answered: Answered, cases: Sequence[Case], grades: Grades) -> Iterator[Result]:
        pressed, response = answered.pressed, answered.response[: self.response_tokens]
        sample = pressed.sample
        # without a known answer the model's own stands in
        right = response if sample.answer_ids is None else sample.answer_ids
        contexts = [pressed.kept[case] for case in cases]
        text = Continuation(sample.tokens, pressed.first_logits, right, response)
        predicted = predict(self.frozen, [pressed.whole, *contexts], text)
        full, evicted = predicted.response[0], predicted.response[1:]
        first = replayed_logits(self.frozen, pressed, contexts)[:, None]
        columns = zip(
            cases,
            answer_nll(predicted.answer[1:], right).tolist(),
            divergence(full, evicted).tolist(),
            agreement(full, evicted).tolist(),
            answer_nll(torch.cat([first, predicted.answer[1:, 1:]], dim=1), right).tolist(),
            strict=True,
        )
        for case, nll, kl, same, replayed in columns:
            yield Result(
                sample=sample.key,
                family=sample.family,
                templated=sample.templated,
                prompt_tokens=sample.tokens,
                method=case.method,
                budget=case.budget,
                kept_tokens=kept_tokens(pressed.kept[case]),
                nll=nll,
                kl=kl,
                agreement=same,
                accuracy=grades.get(case),
                nll_replayed=replayed,
            )

    def _grades(self, answered: Answered) -> Grades:
        pressed = answered.pressed
        cases = [case for case in pressed.kept if case.budget in self.accuracy_budgets]
        if not cases or self._grade(pressed, answered.response) != 1.0:
            return {}
        longest = answer_tokens(pressed.sample)
        answers = self._decode([pressed] * len(cases), [pressed.kept[case] for case in cases], longest)
        return {case: self._grade(pressed, answer) for case, answer in zip(cases, answers, strict=True)}

    def _grade(self, pressed: Pressed, answer: torch.Tensor) -> float:
        expected = pressed.sample.answer
        return 0.0 if expected is None else grade(expected, self.text(answer[: answer_tokens(pressed.sample)]))

    def _decode(self, pressed: Sequence[Pressed], contexts: Sequence[Context], longest: int) -> list[torch.Tensor]:
        first = torch.stack([each.first_logits.argmax() for each in pressed])
        positions = first.new_tensor([each.sample.tokens for each in pressed])
        return greedy(self.frozen, Caches(contexts, room=longest), first, positions, longest, self.ends)
