"""A fact that somebody says in a conversation."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from scorer.training.data.families.base import CountTokens, Evidence, Filler, Task, take_tokens
from scorer.training.data.families.train import words
from scorer.training.data.sample import Answer

TOPICS = (
    ("I will bring {0}.", "What will {0} bring?"),
    ("My favourite thing is the {0}.", "What is the favourite thing of {0}?"),
    ("I lost my {0} yesterday.", "What did {0} lose?"),
    ("Please buy me a {0}.", "What should be bought for {0}?"),
    ("I am repairing the {0} now.", "What is {0} repairing?"),
)
SMALL_TALK = (
    "That sounds good to me.",
    "Did anybody see the news this morning?",
    "We should meet again next week.",
    "I am not sure about that, let me think.",
    "It rained here all day long.",
    "Can you say that again, please?",
    "I talked to {0} about it.",
    "The train to {1} was late again.",
)


@dataclass(frozen=True)
class Dialogue:
    """People talk; each says one thing about themselves, which is asked for later and stands in their turn."""

    facts_in_turns: float = 0.4
    turns: tuple[str, ...] = ("{0}: {1}", "<{0}> {1}", '{0} said: "{1}"', "- {0} -- {1}")
    evidence: ClassVar[Evidence] = "verbatim"

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        turn = rng.choice(self.turns)
        names = words.unique(rng, words.person)
        topic, question = rng.choice(TOPICS)
        said = (self._say(rng, name, topic, certain=i == 0) for i, name in enumerate(names))
        taken = take_tokens(said, target_tokens, count_tokens, lambda item: turn.format(*item[:2]))
        name, _, thing = rng.choice([item for item in taken if item[2]])
        return Task("\n".join(turn.format(*item[:2]) for item in taken), question.format(name), Answer((thing,)))

    def _say(self, rng: Random, name: str, topic: str, certain: bool) -> tuple[str, str, str]:
        """Speaker, words and, where they say one, the fact; `certain` makes them say one."""
        if certain or rng.random() < self.facts_in_turns:
            thing = words.thing(rng)
            return name, topic.format(thing), thing
        return name, rng.choice(SMALL_TALK).format(words.person(rng), rng.choice(words.CITIES)), ""
