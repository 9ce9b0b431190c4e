"""Lookup of a setting in a configuration file with sections."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer

KEYS = ("port", "timeout", "retries", "user", "folder", "limit", "mode", "region", "token", "queue")
STYLES = (("[{0}]", "{0} = {1}"), ("{0}:", "  {0}: {1}"), ("# {0}", "{0}={1}"), ("<{0}>", "    {0} {1}"))


@dataclass(frozen=True)
class ConfigFile:
    """INI-, YAML- and similar files; the same settings recur in each section, so that the section matters."""

    most_settings: int = 5
    questions: tuple[str, ...] = (
        "What is {key} set to in the section {section}?",
        "Which value has {key} under {section}?",
        "{section}.{key} = ?",
    )
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        head, line = rng.choice(STYLES)
        keys = rng.sample(KEYS, rng.randint(2, self.most_settings))
        names = words.unique(rng, rng.choice((words.coined, lambda rng: words.thing(rng).replace(" ", "_"))))
        sections = ((name, {key: words.value(rng).replace(" ", "_") for key in keys}) for name in names)

        def section(named: tuple[str, dict[str, str]]) -> str:
            return "\n".join([head.format(named[0]), *(line.format(*pair) for pair in named[1].items()), ""])

        taken = take_tokens(sections, target_tokens, count_tokens, section)
        name, settings = rng.choice(taken)
        key = rng.choice(keys)
        question = rng.choice(self.questions).format(key=key, section=name)
        return Task("\n".join(map(section, taken)), question, Answer((settings[key],)))
