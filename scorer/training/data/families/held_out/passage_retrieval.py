"""Which of several passages is about a topic."""

import re
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_text
from scorer.training.data.families.held_out import words
from scorer.training.data.sample import Answer

MOST_TRIED = 1000


@dataclass(frozen=True)
class PassageRetrieval:
    """Numbered passages of real text; the answer is the number of the one about a title, derived from its place."""

    passages: int = 4
    question: str = 'Which passage is about "{0}"? Answer with its number.'
    cue: str = 'The passage about "{0}" is Passage'
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        taken = self._passages(rng, filler, target_tokens // self.passages, count_tokens)
        i = rng.randrange(self.passages)
        title = list(taken)[i]
        # numbers that nobody gets by counting
        numbers = words.several(rng, lambda rng: words.number(rng, 3), self.passages)
        context = "\n\n".join(f"Passage {n}:\n{text}" for n, text in zip(numbers, taken.values(), strict=True))
        answer = Answer((numbers[i],))
        return Task(context, self.question.format(title), answer, filler.source, self.cue.format(title))

    def solve(self, task: Task) -> tuple[str, ...]:
        title = task.question.split('"')[1]
        parts = re.split(r"^Passage (\d+):$", task.context, flags=re.MULTILINE)
        return tuple(n for n, text in zip(parts[1::2], parts[2::2], strict=True) if title.lower() in text.lower())

    def _passages(self, rng: Random, filler: Filler, tokens: int, count_tokens: CountTokens) -> dict[str, str]:
        """Texts by title; each title stands in its own text and in no other. Raises ValueError if there are too few."""
        taken: dict[str, str] = {}
        for passage in islice(filler.passages(rng), MOST_TRIED):
            text = "\n\n".join(take_text(passage.paragraphs, tokens, count_tokens))
            candidate = taken | {passage.title: text}
            if all(
                (title.lower() in text.lower()) == (title == at)
                for title in candidate
                for at, text in candidate.items()
            ):
                taken = candidate
            if len(taken) == self.passages:
                return taken
        raise ValueError(f"the source {filler.source} has no {self.passages} passages with titles of their own")
