"""Whether answers decoded from evicted caches are right, where the whole cache gives a right one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import torch

from scorer.evaluation.caches import Caches, kept_of
from scorer.evaluation.decode import greedy
from scorer.evaluation.examine import Examined
from scorer.evaluation.measure import ALL, Kept
from scorer.evaluation.methods import FULL
from scorer.evaluation.samples import EvalSample
from scorer.training.data.grade import grade
from scorer.training.frozen_model import FrozenModel

# families whose answers are lists (scorer/training/data/README.md)
LONG_ANSWERS = ("multi_value", "variable_tracking")
LONG_ANSWER_TOKENS, ANSWER_TOKENS = 48, 24
# slots of context that are decoded together; the K/V of a 135M model takes 23 KiB each
BATCH_SLOTS = 16384

# by the key of a result: sample, method, budget
Grades = dict[tuple[str, str, str], float]


def answer_tokens(sample: EvalSample) -> int:
    """How long an answer may be to be graded; 0 when nobody knows the right one."""
    if sample.answer is None:
        return 0
    return LONG_ANSWER_TOKENS if sample.family in LONG_ANSWERS else ANSWER_TOKENS


@dataclass(frozen=True)
class Grader:
    """Decodes greedily at some budgets, and grades. `text` turns token ids into text."""

    frozen: FrozenModel
    budgets: Collection[str]
    ends: Collection[int]
    text: Callable[[torch.Tensor], str]

    def grades(self, examined: Sequence[Examined], kept: Sequence[Kept]) -> Grades:
        """Of full KV's answers, 0 to 1, and, for samples where that is 1, of the answers of `kept`."""
        grades: Grades = {}
        for sample in examined:
            self._grade(grades, sample, FULL, ALL, sample.response)
        right = [each for each in kept if grades.get((each.sample.sample.key, FULL, ALL)) == 1.0]
        for batch in _batches([each for each in right if each.budget in self.budgets]):
            for case, answer in zip(batch, self._answers(batch), strict=True):
                self._grade(grades, case.sample, case.method, case.budget, answer)
        return grades

    def _grade(self, grades: Grades, sample: Examined, method: str, budget: str, answer: torch.Tensor) -> None:
        if sample.sample.answer is not None:
            text = self.text(answer[: answer_tokens(sample.sample)])
            grades[sample.sample.key, method, budget] = grade(sample.sample.answer, text)

    def _answers(self, cases: Sequence[Kept]) -> list[torch.Tensor]:
        longest = max(answer_tokens(case.sample.sample) for case in cases)
        caches = Caches([kept_of(case.sample.prompt, case.positions) for case in cases], room=longest)
        first = torch.stack([case.sample.first_token for case in cases])
        positions = first.new_tensor([case.sample.prompt.tokens for case in cases])
        return greedy(self.frozen, caches, first, positions, longest, self.ends)


def _batches(cases: Sequence[Kept]) -> Iterator[list[Kept]]:
    """Cases whose contexts, padded to the longest, fit into BATCH_SLOTS; long answers apart from short ones."""
    # sorted, a batch pads little and none waits for the one long answer in it
    order = sorted(cases, key=lambda case: (answer_tokens(case.sample.sample), case.positions.shape[-1]))
    batch: list[Kept] = []
    for case in order:
        other = batch and answer_tokens(batch[0].sample.sample) != answer_tokens(case.sample.sample)
        if other or (batch and (len(batch) + 1) * case.positions.shape[-1] > BATCH_SLOTS):
            yield batch
            batch = []
        batch.append(case)
    if batch:
        yield batch
