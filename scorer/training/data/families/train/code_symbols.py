"""Lookup of what a function returns, or of a constant, in source code."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer


@dataclass(frozen=True)
class CodeSymbols:
    """A module of small definitions; the value of one of them is asked for and stands in its body."""

    bodies: tuple[str, ...] = (
        "def {name}():\n    return {value}\n",
        "{name} = {value}",
        "class {name}:\n    limit = {value}\n",
        "function {name}() {{ return {value}; }}",
        "#define {name} {value}",
    )
    questions: tuple[str, ...] = (
        "Which value does the code give for {name}?",
        "What does {name} hold or return?",
        "# value of {name}",
        "What is the value behind the name {name}?",
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        bodies = rng.sample(self.bodies, rng.choice((1, 2)))
        join = rng.choice(("{0}_{1}", "{0}{1}", "get_{1}_{0}", "{0}_{1}_limit")).format
        names = words.unique(rng, lambda rng: join(words.coined(rng), rng.choice(words.NOUNS)))
        value = rng.choice((words.number, lambda rng: f'"{words.code(rng)}"'))
        defined = ((rng.choice(bodies), name, value(rng)) for name in names)

        def body(definition: tuple[str, str, str]) -> str:
            return definition[0].format(name=definition[1], value=definition[2])

        taken = take_tokens(defined, target_tokens, count_tokens, body)
        _, name, literal = rng.choice(taken)
        question = rng.choice(self.questions).format(name=name)
        return Task("\n".join(map(body, taken)), question, Answer((literal.strip('"'),)))
