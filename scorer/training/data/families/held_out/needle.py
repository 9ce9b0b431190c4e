"""One number in real text."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, scatter, sentences, take_text
from scorer.training.data.families.held_out import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class Needle:
    """RULER's single needle: a sentence between two sentences of real text; its number is the answer."""

    sentence: str = "The special magic number for {0} is {1}. "
    question: str = "What is the special magic number for {0} mentioned in the text?"
    cue: str = "The special magic number for {0} is"
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        name, value = words.animal(rng), words.number(rng)
        needle = self.sentence.format(name, value)
        text = sentences(take_text(filler.paragraphs(rng), target_tokens - count_tokens(needle), count_tokens))
        context = "".join(scatter(rng, text, [needle])).strip()
        return Task(context, self.question.format(name), Answer((value,)), filler.source, self.cue.format(name))
