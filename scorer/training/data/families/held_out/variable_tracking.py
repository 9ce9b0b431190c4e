"""Which variables hold a value, through assignments between sentences that say nothing."""

import re
from dataclasses import dataclass
from itertools import count, pairwise
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, scatter, take_tokens
from scorer.training.data.families.held_out import words
from scorer.training.data.sample import Answer

# real text leads a small model astray here
NOISE = (
    "The morning is calm. ",
    "The road is long. ",
    "The river runs south. ",
    "Nobody is at home. ",
    "And so it goes on. ",
)


@dataclass(frozen=True)
class VariableTracking:
    """RULER's variable tracking: chains of assignments; the names of one chain are derived by following it."""

    chains: int = 2
    hops: int = 2
    question: str = "Find all variables that are assigned the value {0} in the text above."
    cue: str = "The variables that are assigned the value {0} are VAR"
    evidence: ClassVar[Evidence] = "derived"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        names = [noun.upper() for noun in rng.sample(words.NOUNS, self.chains * (self.hops + 1))]
        values = words.several(rng, words.number, self.chains)
        chains = [names[i :: self.chains] for i in range(self.chains)]
        lines = [[f"VAR {chain[0]} = {value}. "] for chain, value in zip(chains, values, strict=True)]
        for chain, said in zip(chains, lines, strict=True):
            said.extend(f"VAR {b} = VAR {a}. " for a, b in pairwise(chain))
        # chains take turns, each in its own order
        needles = [line for turn in zip(*lines, strict=True) for line in turn]
        left = target_tokens - sum(map(count_tokens, needles))
        text = take_tokens((rng.choice(NOISE) for _ in count()), left, count_tokens, end="")
        context = "".join(scatter(rng, text, needles)).strip()
        question, cue = self.question.format(values[0]), self.cue.format(values[0])
        return Task(context, question, Answer(tuple(chains[0])), cue=cue)

    def solve(self, task: Task) -> tuple[str, ...]:
        (asked,) = re.findall(r"value (\d+)", task.question)
        holds: dict[str, str] = {}
        for name, value in re.findall(r"VAR (\w+) = (?:VAR )?(\w+)\.", task.context):
            holds[name] = holds.get(value, value)
        return tuple(name for name, value in holds.items() if value == asked)
