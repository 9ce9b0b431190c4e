"""Lookup of one cell in a table, as CSV, TSV or Markdown."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer

SEPARATORS = (",", ", ", "\t", ";", " | ")


@dataclass(frozen=True)
class CsvTable:
    """Rows under a header; the cell of one row and column is asked for and stands there."""

    columns: tuple[str, ...] = ("price", "weight", "origin", "batch", "colour", "amount", "rating", "seller")
    most_columns: int = 5
    questions: tuple[str, ...] = (
        "What is the {column} of {key}?",
        "In the row {key}, what stands in the column {column}?",
        "Which {column} does the table give for {key}?",
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        columns = rng.sample(self.columns, rng.randint(2, self.most_columns))
        separator = rng.choice(SEPARATORS)
        keys = words.unique(rng, rng.choice((words.thing, words.coined, words.code)))
        rows = ([key, *(words.value(rng) for _ in columns)] for key in keys)
        taken = take_tokens(rows, target_tokens, count_tokens, separator.join)
        row = rng.choice(taken)
        column = rng.randrange(len(columns))
        table = "\n".join(map(separator.join, [["name", *columns], *taken]))
        question = rng.choice(self.questions).format(column=columns[column], key=row[0])
        return Task(table, question, Answer((row[1 + column],)))
