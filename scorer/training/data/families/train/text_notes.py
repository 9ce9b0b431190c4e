"""One of many notes that stand between the paragraphs of real text."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, scatter, take_text
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class TextNotes:
    """Notes of the same kind about different lockers, people or rooms; one is asked for and stands in its note."""

    least_notes: int = 4
    most_notes: int = 14
    kinds: tuple[tuple[str, str], ...] = (
        ("[Note: the locker of {0} opens with {1}.]", "What opens the locker of {0}?"),
        ("({0} left the message: {1})", "Which message did {0} leave?"),
        ("** {0} sits in room {1} **", "In which room does {0} sit?"),
        ("Reminder for {0}: ask for {1}.", "What should {0} ask for?"),
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        note, question = rng.choice(self.kinds)
        draw = rng.choice((words.number, words.code, words.thing))
        people = words.unique(rng, words.person)
        # short texts hold fewer
        most = max(self.least_notes, min(self.most_notes, target_tokens // 60))
        pairs = [(next(people), draw(rng)) for _ in range(rng.randint(self.least_notes, most))]
        notes = [note.format(*pair) + "\n\n" for pair in pairs]
        left = target_tokens - sum(map(count_tokens, notes))
        text = [paragraph + "\n\n" for paragraph in take_text(filler.paragraphs(rng), left, count_tokens)]
        name, value = rng.choice(pairs)
        context = "".join(scatter(rng, text, notes)).strip()
        return Task(context, question.format(name), Answer((value,)), filler.source)
