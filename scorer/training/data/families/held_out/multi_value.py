"""Several numbers of one kind in real text."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, scatter, sentences, take_text
from scorer.training.data.families.held_out import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class MultiValue:
    """RULER's multi-value needles: sentences in several places give one thing a number each; all are asked for."""

    values: int = 2
    sentence: str = "One of the magic numbers for {0} is {1}. "
    question: str = "What are the magic numbers for {0} mentioned in the text? Give all of them."
    cue: str = "The magic numbers for {0} are"
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        name = words.animal(rng)
        values = words.several(rng, words.number, self.values)
        needles = [self.sentence.format(name, value) for value in values]
        left = target_tokens - sum(map(count_tokens, needles))
        text = sentences(take_text(filler.paragraphs(rng), left, count_tokens))
        context = "".join(scatter(rng, text, needles)).strip()
        return Task(context, self.question.format(name), Answer(tuple(values)), filler.source, self.cue.format(name))
