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
    """A register of ships, one element each; one attribute of one ship is asked for and stands in its element."""

    record: str = '<ship name="{name}" captain="{captain}" flag="{flag}" port="{port}" cargo="{cargo}" crew="{crew}"/>'
    questions: tuple[tuple[str, str, str], ...] = (
        ("captain", 'Who is the captain of the ship "{name}"?', '<ship name="{name}" captain="'),
        ("flag", 'What is the flag of the ship "{name}"?', '<ship name="{name}" flag="'),
        ("cargo", 'What is the cargo of the ship "{name}"?', '<ship name="{name}" cargo="'),
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        taken = take_tokens(self._ships(rng), target_tokens, count_tokens, lambda ship: self.record.format(**ship))
        ship = rng.choice(taken)
        field, question, cue = rng.choice(self.questions)
        register = "\n".join(self.record.format(**ship) for ship in taken)
        return Task(register, question.format(**ship), Answer((ship[field],)), cue=cue.format(**ship))

    def _ships(self, rng: Random) -> Iterator[dict[str, str]]:
        fleet = 0
        while True:
            fleet += 1
            for noun in rng.sample(words.NOUNS, len(words.NOUNS)):
                yield {
                    # as ships are called that follow another of the same name
                    "name": noun.title() if fleet == 1 else f"{noun.title()} {fleet}",
                    "captain": rng.choice(words.FIRST_NAMES),
                    "flag": rng.choice(words.COUNTRIES),
                    "port": words.town(rng),
                    "cargo": rng.choice(words.CARGOES),
                    "crew": words.number(rng, 2),
                }
