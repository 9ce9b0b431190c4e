"""Lookup in contact records of several lines each."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class Contacts:
    """An address book; one detail of one person is asked for and stands in that person's record."""

    questions: tuple[str, ...] = (
        "What is the {field} of {name}?",
        "Tell me the {field} of {name}.",
        "I need {name}'s {field}.",
        "Find {name} in the address book. Which {field} is given?",
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        title = rng.choice(("Name: {0}", "{0}", "* {0}", "[{0}]", "CONTACT {0}"))
        people = ((name, self._details(rng, name)) for name in words.unique(rng, words.person))

        def record(contact: tuple[str, dict[str, str]]) -> str:
            return "\n".join([title.format(contact[0]), *(f"{k}: {v}" for k, v in contact[1].items()), ""])

        taken = take_tokens(people, target_tokens, count_tokens, record)
        name, details = rng.choice(taken)
        field, value = rng.choice(list(details.items()))
        question = rng.choice(self.questions).format(field=field, name=name)
        return Task("\n".join(map(record, taken)), question, Answer((value,)))

    def _details(self, rng: Random, name: str) -> dict[str, str]:
        first, last = name.lower().split()[:2]
        return {
            "phone": f"555-{words.number(rng)}",
            "email": f"{first}.{last}{words.number(rng, 2)}@{words.coined(rng)}.org",
            "city": rng.choice(words.CITIES),
            "street": f"{words.coined(rng).title()} Street {words.number(rng, 2)}",
        }
