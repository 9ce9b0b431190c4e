"""Lookup in records with several fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.held_out import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class Records:
    """A register of ships, one element each; the record of one is asked for, and its attributes are the answer."""

    record: str = '<ship name="{name}" captain="{captain}" cargo="{cargo}" crew="{crew}"/>'
    question: str = "Give the whole record of the ship {0}."
    cue: str = '<ship name="{0}"'
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        taken = take_tokens(self._ships(rng), target_tokens, count_tokens, lambda ship: self.record.format(**ship))
        name, *values = rng.choice(taken).values()
        register = "\n".join(self.record.format(**ship) for ship in taken)
        return Task(register, self.question.format(name), Answer(tuple(values)), cue=self.cue.format(name))

    def _ships(self, rng: Random) -> Iterator[dict[str, str]]:
        seen: set[str] = set()
        while True:
            name = words.town(rng)
            if name not in seen:
                seen.add(name)
                yield {
                    "name": name,
                    "captain": rng.choice(words.FIRST_NAMES),
                    "cargo": rng.choice(words.CARGOES),
                    "crew": words.number(rng, 2),
                }
