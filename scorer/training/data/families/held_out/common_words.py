"""The words that occur most often in a long list."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.held_out import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class CommonWords:
    """RULER's common words extraction: a numbered list; the most frequent words are asked for and counted from it."""

    common: int = 2
    # how often a common word occurs for once of another
    ratio: int = 6
    question: str = "What are the {0} most common words in the list above?"
    cue: str = "The {0} most common words in the list are"
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        pool = rng.sample(words.NOUNS + words.ADJECTIVES, len(words.NOUNS) + len(words.ADJECTIVES))
        common, others = pool[: self.common], pool[self.common :]
        numbered = take_tokens(
            enumerate(cycle(others), start=1), target_tokens, count_tokens, lambda item: f"{item[0]}. {item[1]}"
        )
        listed = [word for _, word in numbered]
        # enough of the list becomes common words to lead by far at any length
        rounds = len(listed) // (len(others) + self.ratio * self.common) + 1
        share = min(len(listed) // 2, self.common * self.ratio * rounds)
        listed[:share] = [common[i % self.common] for i in range(share)]
        rng.shuffle(listed)
        context = "\n".join(f"{i}. {word}" for i, word in enumerate(listed, start=1))
        answer = Answer(tuple(common))
        return Task(context, self.question.format(self.common), answer, cue=self.cue.format(self.common))

    def solve(self, task: Task) -> tuple[str, ...]:
        counted = Counter(re.findall(r"^\d+\. (\w+)$", task.context, re.MULTILINE))
        return tuple(word for word, _ in counted.most_common(self.common))
