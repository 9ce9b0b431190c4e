"""Real text of which one sentence is to be repeated."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, sentences, take_tokens
from scorer.training.data.sample import Answer

MARKS = ("{0}) ", "[{0}] ", "{0}: ", "({0}) ")


@dataclass(frozen=True)
class CopySentence:
    """The sentences are numbered; one number is asked for, and its sentence is the answer."""

    shortest: int = 20
    longest: int = 120
    questions: tuple[str, ...] = (
        "Repeat sentence {0} word for word.",
        "Quote the sentence with the number {0}.",
        "What does sentence {0} say? Copy it.",
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        mark = rng.choice(MARKS)
        lines = (" ".join(paragraph.split()) for paragraph in filler.paragraphs(rng))
        cut = (sentence.strip() for line in lines for sentence in sentences([line]))
        whole = (sentence for sentence in cut if self.shortest <= len(sentence) <= self.longest)
        numbered = take_tokens(
            enumerate(whole, start=1), target_tokens, count_tokens, lambda item: mark.format(item[0]) + item[1]
        )
        i, sentence = rng.choice(numbered)
        context = "\n".join(mark.format(i) + text for i, text in numbered)
        return Task(context, rng.choice(self.questions).format(i), Answer((sentence,)), filler.source)
