"""Which heading a sentence of real text stands under."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_text, take_tokens
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class Headings:
    """Sections of several documents; the heading above a quoted beginning is asked for and derived from its place."""

    sections: int = 4
    quoted_words: int = 7
    marks: tuple[str, ...] = ("## {0}", "=== {0} ===", "{0}\n-----", "SECTION: {0}")
    questions: tuple[str, ...] = (
        'Under which heading does the paragraph stand that begins with "{0}"?',
        'Which section has the words "{0}"?',
    )
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        mark = rng.choice(self.marks)
        sections = self._sections(rng, filler, target_tokens // self.sections, count_tokens)
        taken = take_tokens(sections, target_tokens, count_tokens, lambda item: mark.format(item[0]) + "\n\n" + item[1])
        context = "\n\n".join(f"{mark.format(title)}\n\n{text}" for title, text in taken)
        title, quote = rng.choice([(title, self._quote(text)) for title, text in taken])
        return Task(context, rng.choice(self.questions).format(quote), Answer((title,)), filler.source)

    def solve(self, task: Task) -> tuple[str, ...]:
        quote = task.question[task.question.index('"') + 1 : -2]
        before = task.context[: task.context.index(quote)]
        return ("".join(re.findall(r"^(?:## (.+)|=== (.+) ===|(.+)\n-----|SECTION: (.+))$", before, re.MULTILINE)[-1]),)

    def _sections(
        self, rng: Random, filler: Filler, tokens: int, count_tokens: CountTokens
    ) -> Iterator[tuple[str, str]]:
        """Title and beginning of documents whose first words are in no other."""
        seen: set[str] = set()
        for passage in filler.passages(rng):
            text = "\n\n".join(take_text(passage.paragraphs, tokens, count_tokens))
            if text and self._quote(text) not in seen:
                seen.add(self._quote(text))
                yield passage.title, text

    def _quote(self, text: str) -> str:
        return " ".join(text.split("\n")[0].split(" ")[: self.quoted_words])
