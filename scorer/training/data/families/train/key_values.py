"""Lookup in a list of keys and values, written in one of several ways."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class KeyValues:
    """One line for each key; one value is asked for and stands in its key's line."""

    lines: tuple[str, ...] = ("{0}: {1}", "{0} = {1}", "{0} -> {1}", "- {0} ({1})", "{0}; {1}", "The {0} is {1}.")
    questions: tuple[str, ...] = (
        "What is the value of {0}?",
        "Which value belongs to {0}?",
        "Look up {0} in the list.",
        "Give the value for {0}.",
        "{0}?",
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        line = rng.choice(self.lines)
        draw = rng.choice((words.number, words.code, words.coined, words.thing))
        keys = words.unique(rng, rng.choice((words.thing, words.coined, words.code)))
        pairs = take_tokens(
            ((key, draw(rng)) for key in keys), target_tokens, count_tokens, lambda pair: line.format(*pair)
        )
        key, value = rng.choice(pairs)
        listed = "\n".join(line.format(*pair) for pair in pairs)
        return Task(listed, rng.choice(self.questions).format(key), Answer((value,)))
