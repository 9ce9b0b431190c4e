"""Lookup in a JSON document of records."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class JsonLookup:
    """An object of objects, or a list of them; one field of one of them is asked for and stands in it."""

    fields: tuple[str, ...] = ("code", "city", "owner", "stock", "price", "colour", "supplier", "item")
    most_fields: int = 5
    questions: tuple[str, ...] = (
        'What is the "{field}" of "{key}"?',
        'Which {field} does the entry "{key}" have?',
        "Return the value of {field} for {key}.",
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        fields = rng.sample(self.fields, rng.randint(2, self.most_fields))
        keys = words.unique(rng, rng.choice((words.coined, words.code, words.person)))
        entries = ((key, {field: words.value(rng) for field in fields}) for key in keys)
        indent, listed = rng.choice((None, 1, 2)), rng.random() < 0.5

        def document(taken: Iterable[tuple[str, dict[str, str]]]) -> str:
            return json.dumps([{"id": key} | entry for key, entry in taken] if listed else dict(taken), indent=indent)

        taken = take_tokens(entries, target_tokens, count_tokens, lambda entry: document([entry]))
        key, entry = rng.choice(taken)
        field = rng.choice(fields)
        question = rng.choice(self.questions).format(field=field, key=key)
        return Task(document(taken), question, Answer((entry[field],)))
