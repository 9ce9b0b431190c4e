"""Which of several passages is about a topic."""

import re
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CannotMake, CountTokens, Evidence, Filler, Task, take_text
from scorer.training.data.families.held_out import words
from scorer.training.data.grade import contains
from scorer.training.data.sample import Answer

MOST_TRIED = 40


@dataclass(frozen=True)
class PassageRetrieval:
    """Numbered passages of real text; the answer is the number of the only one with a title's words in it."""

    least_passages: int = 4
    passage_tokens: int = 250
    question: str = 'Each passage above has a number. What is the number of the passage about "{0}"?'
    cue: str = 'The passage about "{0}" is Passage'
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        for _ in range(MOST_TRIED):
            taken = self._passages(rng, filler, target_tokens, count_tokens)
            # a title may be an everyday word, which other passages use too
            unique = [title for title in taken if sum(contains(text, title) for text in taken.values()) == 1]
            if unique:
                return self._ask(rng, taken, rng.choice(unique), filler.source)
        raise CannotMake(f"the source {filler.source} has too few passages with titles of their own")

    def _ask(self, rng: Random, taken: dict[str, str], title: str, source: str) -> Task:
        # numbers that nobody gets by counting
        numbers = dict(zip(taken, words.several(rng, lambda rng: words.number(rng, 3), len(taken)), strict=True))
        context = "\n\n".join(f"Passage {numbers[at]}:\n{text}" for at, text in taken.items())
        return Task(context, self.question.format(title), Answer((numbers[title],)), source, self.cue.format(title))

    def solve(self, task: Task) -> tuple[str, ...]:
        title = task.question.split('"')[1]
        parts = re.split(r"^Passage (\d+):$", task.context, flags=re.MULTILINE)
        return tuple(n for n, text in zip(parts[1::2], parts[2::2], strict=True) if contains(text, title))

    def _passages(self, rng: Random, filler: Filler, tokens: int, count_tokens: CountTokens) -> dict[str, str]:
        """Beginnings of documents by title, which stands in each."""
        count = max(self.least_passages, tokens // self.passage_tokens)
        taken: dict[str, str] = {}
        for passage in islice(filler.passages(rng), MOST_TRIED * count):
            text = "\n\n".join(take_text(passage.paragraphs, tokens // count, count_tokens))
            if contains(text, passage.title):
                taken[passage.title] = text
            if len(taken) == count:
                break
        return taken
