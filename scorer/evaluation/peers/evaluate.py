"""The run: samples are pressed a few at a time, each in one prefill for all presses and budgets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from scorer.evaluation.budgets import Budget
from scorer.evaluation.methods.base import Protected
from scorer.evaluation.peers.measure import PeerMeasure
from scorer.evaluation.peers.pressed import Press
from scorer.evaluation.peers.presses import Case
from scorer.evaluation.results import Result
from scorer.evaluation.run import chunks
from scorer.evaluation.samples import EvalSample

# sample, method and budget of results that are there already
Done = Collection[tuple[str, str, str]]


@dataclass(frozen=True)
class PeerEvaluation:
    """Presses and budgets, and how their results come about.

    Presses protect tokens as they see fit. `protected` are those of our methods, whose number no budget falls below.
    """

    presses: Sequence[str]
    budgets: Sequence[str]
    protected: Protected
    press: Press
    measure: PeerMeasure

    def open_samples(self, samples: Sequence[EvalSample], done: Done) -> list[EvalSample]:
        """Those that lack a result."""
        return [sample for sample in samples if self._cases(sample, done)]

    def run(self, samples: Sequence[EvalSample], done: Done) -> Iterator[list[Result]]:
        """The results of each sample, without those already `done`. Answers of a few samples are decoded together."""
        for chunk in chunks(self.open_samples(samples, done)):
            pressed = [self.press(self.measure.frozen, sample, self._cases(sample, done)) for sample in chunk]
            yield from (list(self.measure.results(each)) for each in self.measure.answer(pressed))

    def _cases(self, sample: EvalSample, done: Done) -> list[Case]:
        """What is to be measured on the sample. A budget that keeps all of it is no eviction."""
        tokens = {label: Budget(label).tokens(sample.tokens, self.protected.tokens) for label in self.budgets}
        cases = [
            Case(name, label, kept) for label, kept in tokens.items() if kept < sample.tokens for name in self.presses
        ]
        return [case for case in cases if (sample.key, case.method, case.budget) not in done]
