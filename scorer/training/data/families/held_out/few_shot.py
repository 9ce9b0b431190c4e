"""Classification of questions after examples, as TREC does it; natural without a template."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.held_out import words
from scorer.training.data.sample import Answer

KINDS = {
    "person": ("Who painted the {0}?", "Who discovered the {0}?", "Which explorer first saw the {0}?"),
    "place": ("Where can one see the {0}?", "In which city is the {0}?", "Where was the {0} found?"),
    "number": ("How many legs has the {0}?", "How heavy is the {0}?", "How much does the {0} cost?"),
    "date": ("When was the {0} built?", "In what year did the {0} vanish?", "On what day is the {0} shown?"),
    "reason": ("Why is the {0} so rare?", "Why did the {0} turn white?", "What causes the {0} to glow?"),
}


@dataclass(frozen=True)
class FewShot:
    """Questions with their kinds; the kind of the last one is asked for and derived from the examples like it."""

    instruction: str = "Every question below has a type."
    example: str = "Question: {0}\nType: {1}\n"
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        examples = take_tokens(self._examples(rng), target_tokens, count_tokens, self._written, least=len(KINDS))
        context = self.instruction + "\n\n" + "\n".join(map(self._written, examples)).strip()
        # of a form that the examples show
        question, kind = next(item for item in self._examples(rng) if self._begin(item[0]) in context)
        return Task(context, f"Question: {question}\nType:", Answer((kind,)), cue="")

    def solve(self, task: Task) -> tuple[str, ...]:
        begin = "Question: " + self._begin(task.question.removeprefix("Question: "))
        return tuple(dict.fromkeys(re.findall(rf"^{re.escape(begin)}.*\nType: (\w+)$", task.context, re.MULTILINE)))

    def _examples(self, rng: Random) -> Iterator[tuple[str, str]]:
        """Questions and kinds without end; every kind comes once in each round."""
        while True:
            for kind in rng.sample(list(KINDS), len(KINDS)):
                yield rng.choice(KINDS[kind]).format(words.animal(rng)), kind

    def _begin(self, question: str) -> str:
        return " ".join(question.split()[:3])

    def _written(self, example: tuple[str, str]) -> str:
        return self.example.format(*example)
