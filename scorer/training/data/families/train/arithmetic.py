"""Sum or difference of two numbers that a text gives far from each other."""

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, scatter, sentences, take_text
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class Arithmetic:
    """Prices between sentences of real text; the sum or difference of two is asked for and computed from them."""

    prices: int = 6
    statement: tuple[str, ...] = (
        "The {0} costs {1} coins.",
        "Price of the {0}: {1} coins.",
        "One {0} is sold for {1} coins.",
    )
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        statement = rng.choice(self.statement)
        things = rng.sample(words.NOUNS, self.prices)
        prices = {thing: rng.randint(2, 60) for thing in things}
        notes = [statement.format(*item) + "\n\n" for item in prices.items()]
        left = target_tokens - sum(map(count_tokens, notes))
        text = sentences(take_text(filler.paragraphs(rng), left, count_tokens))
        cheap, dear = sorted(rng.sample(things, 2), key=lambda thing: prices[thing])
        question, result = rng.choice(
            (
                (f"How many coins do the {cheap} and the {dear} cost together?", prices[cheap] + prices[dear]),
                (f"How many coins more does the {dear} cost than the {cheap}?", prices[dear] - prices[cheap]),
            )
        )
        return Task("".join(scatter(rng, text, notes)).strip(), question, Answer((str(result),)), filler.source)

    def solve(self, task: Task) -> tuple[str, ...]:
        pattern = r"(?:The|Price of the|One) (\w+)(?: costs|:| is sold for) (\d+) coins\."
        prices = {thing: int(price) for thing, price in re.findall(pattern, task.context)}
        first, second = re.findall(r"the (\w+)(?: and| cost| than|\?)", task.question)
        if "together" in task.question:
            return (str(prices[first] + prices[second]),)
        return (str(prices[first] - prices[second]),)
