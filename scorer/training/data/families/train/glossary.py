"""Lookup in a dictionary of an invented language."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class Glossary:
    """A word and its meaning on each line; asked in either direction. Both stand in the same line."""

    lines: tuple[str, ...] = ("{0} - {1}", "{0}: a {1}", "{0} means {1}.", "{0} / {1}", '"{0}" is the word for "{1}"')
    to_meaning: tuple[str, ...] = ("What does {0} mean?", "Translate {0}.", "Meaning of {0}?")
    to_word: tuple[str, ...] = ("Which word means {0}?", "How do you say {0} in this language?", "Word for {0}?")
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        line = rng.choice(self.lines)
        pairs = zip(words.unique(rng, words.coined), words.unique(rng, words.thing), strict=False)
        taken = take_tokens(pairs, target_tokens, count_tokens, lambda pair: line.format(*pair))
        word, meaning = rng.choice(taken)
        listed = "\n".join(line.format(*pair) for pair in taken)
        if rng.random() < 0.5:
            return Task(listed, rng.choice(self.to_meaning).format(word), Answer((meaning,)))
        return Task(listed, rng.choice(self.to_word).format(meaning), Answer((word,)))
