"""Real text to be summarised, explained or gone on with."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_text


@dataclass(frozen=True)
class Continuation:
    """No single answer: what the model says is what its adapter learns from."""

    questions: tuple[str, ...] = (
        "Summarise the text in a few sentences.",
        "What is this text about?",
        "Go on with the text.",
        "Explain the most important point of the text above.",
        "Write three key points of this document.",
        "Who is this text written for, and why?",
    )
    evidence: ClassVar[Evidence] = "open"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        text = "\n\n".join(take_text(filler.paragraphs(rng), target_tokens, count_tokens))
        return Task(text, rng.choice(self.questions), None, filler.source)
