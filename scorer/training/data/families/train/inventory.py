"""Lookup in running text that is dense with facts."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class Inventory:
    """Sentences about shelves, without line breaks; one detail is asked for and stands in its sentence."""

    sentences: tuple[str, ...] = (
        "Shelf {shelf} holds {count} {unit} of {item}, ordered by {owner}.",
        "{owner} put {count} {unit} of {item} on shelf {shelf}.",
        "There are {count} {unit} of {item} on shelf {shelf} for {owner}.",
    )
    questions: tuple[tuple[str, str], ...] = (
        ("count", "How many {unit} of {item} are there on shelf {shelf}?"),
        ("item", "What lies on shelf {shelf}?"),
        ("owner", "Who is named with shelf {shelf}?"),
        ("shelf", "On which shelf is what {owner} has to do with {count} {unit} of {item}?"),
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        facts = (
            {
                "sentence": rng.choice(self.sentences),
                "shelf": shelf,
                "count": words.number(rng, rng.choice((2, 3))),
                "unit": rng.choice(words.UNITS),
                "item": words.thing(rng),
                "owner": words.person(rng),
            }
            for shelf in words.unique(rng, words.code)
        )

        def sentence(fact: dict[str, str]) -> str:
            return fact["sentence"].format(**fact)

        taken = take_tokens(facts, target_tokens, count_tokens, sentence)
        fact = rng.choice(taken)
        field, question = rng.choice(self.questions)
        return Task(" ".join(map(sentence, taken)), question.format(**fact), Answer((fact[field],)))
