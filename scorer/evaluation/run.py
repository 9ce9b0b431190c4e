"""The run: samples are examined a few at a time, and every method at every budget is measured on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scorer.evaluation.accuracy import Grader, answer_tokens
from scorer.evaluation.budgets import Budget
from scorer.evaluation.examine import Examined, Examiner
from scorer.evaluation.measure import ALL, Kept, Measure
from scorer.evaluation.methods import FULL
from scorer.evaluation.methods.base import Method, Work
from scorer.evaluation.results import Result
from scorer.evaluation.samples import EvalSample

# what is held at a time: some hundred MiB of K/V for a model of 135M
CHUNK_SAMPLES, CHUNK_TOKENS = 8, 12288

# sample, method and budget of results that are there already
Done = Collection[tuple[str, str, str]]


@dataclass(frozen=True)
class Evaluation:
    """Methods and budgets, and how their results come about."""

    examiner: Examiner
    methods: Mapping[str, Method]
    budgets: Sequence[str]
    measure: Measure
    grader: Grader

    def open_samples(self, samples: Sequence[EvalSample], done: Done) -> list[EvalSample]:
        """Those that lack a result, without those that are too short to evict anything from."""
        least = max(self.measure.protected.tokens, self.examiner.window_tokens)
        return [sample for sample in samples if sample.tokens > least and self._open(sample, done)]

    def run(self, samples: Sequence[EvalSample], done: Done) -> Iterator[list[Result]]:
        """The results of each chunk of samples, without those already `done`."""
        for chunk in chunks(self.open_samples(samples, done)):
            yield [result for result in self._chunk(chunk) if result.key not in done]

    def _open(self, sample: EvalSample, done: Done) -> list[tuple[str, str]]:
        wanted = [(FULL, ALL), *((name, label) for label in self._evicting(sample) for name in self.methods)]
        return [(name, label) for name, label in wanted if (sample.key, name, label) not in done]

    def _evicting(self, sample: EvalSample) -> list[str]:
        """Budgets that do not keep all of the sample."""
        always = self.measure.protected.tokens
        return [label for label in self.budgets if Budget(label).tokens(sample.tokens, always) < sample.tokens]

    def _chunk(self, samples: Sequence[EvalSample]) -> Iterator[Result]:
        longest = max(self.measure.response_tokens, *(answer_tokens(sample) for sample in samples))
        examined = self.examiner.examine(samples, longest, self.grader.ends)
        kept = [each for name, method in self.methods.items() for each in self._keep(name, method, examined)]
        grades = self.grader.grades(examined, kept)
        for sample in examined:
            for result in self.measure.results(sample, [each for each in kept if each.sample is sample]):
                yield replace(result, accuracy=grades.get(result.key))

    def _keep(self, name: str, method: Method, examined: Sequence[Examined]) -> Iterator[Kept]:
        cases = [(sample, label) for sample in examined for label in self._evicting(sample.sample)]
        always = self.measure.protected.tokens
        works = [Work(sample, Budget(label).tokens(sample.prompt.tokens, always)) for sample, label in cases]
        for (sample, label), positions in zip(cases, method.keep(works), strict=True):
            yield Kept(sample, name, label, positions)


def chunks(samples: Sequence[EvalSample]) -> Iterator[list[EvalSample]]:
    """Samples in order, a few at a time."""
    chunk: list[EvalSample] = []
    for sample in samples:
        if chunk and (len(chunk) == CHUNK_SAMPLES or sum(s.tokens for s in chunk) + sample.tokens > CHUNK_TOKENS):
            yield chunk
            chunk = []
        chunk.append(sample)
    if chunk:
        yield chunk
