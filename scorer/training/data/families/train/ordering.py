"""What comes before, after, first or last in a list."""

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class Ordering:
    """A list in a drawn order; neighbours and ends are asked for. The answer is the neighbouring line."""

    markers: tuple[str, ...] = ("{0}. {1}", "- {1}", "Step {0}: {1}", "{1}", "({0}) {1}")
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        marker = rng.choice(self.markers)
        drawn = enumerate(words.unique(rng, words.thing), start=1)
        items = take_tokens(drawn, target_tokens, count_tokens, lambda item: marker.format(*item), least=4)
        i = rng.randrange(1, len(items) - 1)
        question, value = rng.choice(
            (
                (f"What comes directly after {items[i][1]} in the list?", items[i + 1][1]),
                (f"What comes directly before {items[i][1]} in the list?", items[i - 1][1]),
                ("What is the first thing in the list?", items[0][1]),
                ("What is the last thing in the list?", items[-1][1]),
            )
        )
        return Task("\n".join(marker.format(*item) for item in items), question, Answer((value,)))

    def solve(self, task: Task) -> tuple[str, ...]:
        lines = [re.sub(r"^(\d+\. |- |Step \d+: |\(\d+\) )", "", line) for line in task.context.split("\n")]
        for word, step in (("after", 1), ("before", -1)):
            if match := re.search(f"directly {word} (.+) in the list", task.question):
                return (lines[lines.index(match[1]) + step],)
        return (lines[0 if "first" in task.question else -1],)
