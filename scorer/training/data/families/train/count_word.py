"""How often a word stands in a list."""

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class CountWord:
    """A few words, each many times, mixed; how often one of them occurs is asked for and is counted from the list."""

    kinds: int = 12
    most: int = 9
    questions: tuple[str, ...] = (
        "How many times does {0} occur?",
        "Count the word {0}.",
        "How often do you see {0} in the list?",
    )
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        asked, *others = rng.sample(words.NOUNS, 1 + self.kinds)
        separator = rng.choice((", ", "\n", " "))
        count = rng.randint(1, self.most)
        tokens = target_tokens - count * count_tokens(asked + separator)
        drawn = (rng.choice(others) for _ in iter(int, 1))
        listed = take_tokens(drawn, tokens, count_tokens, end=separator) + [asked] * count
        rng.shuffle(listed)
        return Task(separator.join(listed), rng.choice(self.questions).format(asked), Answer((str(count),)))

    def solve(self, task: Task) -> tuple[str, ...]:
        listed = re.findall(r"\w+", task.context)
        (asked,) = set(listed) & set(re.findall(r"\w+", task.question)) - {"times"}
        return (str(listed.count(asked)),)
