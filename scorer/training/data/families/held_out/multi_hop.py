"""Two facts that together answer."""

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, scatter, sentences, take_text
from scorer.training.data.families.held_out import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class MultiHop:
    """Who lives in which town, which town is in which country: a person's country is derived over the town."""

    people: int = 3
    lives: str = "{0} lives in {1}. "
    lies: str = "{0} is a town in {1}. "
    question: str = "According to the text, {0} lives in a town. Which country is this town in?"
    cue: str = "{0} lives in a town in"
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        names = rng.sample(words.FIRST_NAMES, self.people)
        towns = words.several(rng, words.town, self.people)
        countries = rng.sample(words.COUNTRIES, self.people)
        facts = [self.lives.format(*pair) for pair in zip(names, towns, strict=True)]
        facts += [self.lies.format(*pair) for pair in zip(towns, countries, strict=True)]
        rng.shuffle(facts)
        left = target_tokens - sum(map(count_tokens, facts))
        text = sentences(take_text(filler.paragraphs(rng), left, count_tokens))
        context = "".join(scatter(rng, text, facts)).strip()
        question, cue = self.question.format(names[0]), self.cue.format(names[0])
        return Task(context, question, Answer((countries[0],)), filler.source, cue)

    def solve(self, task: Task) -> tuple[str, ...]:
        (name,) = re.findall(r"(\w+) lives in a town", task.question)
        (town,) = re.findall(rf"\b{name} lives in (\w+)\.", task.context)
        (country,) = re.findall(rf"\b{town} is a town in (\w+)\.", task.context)
        return (country,)
