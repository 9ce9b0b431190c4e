"""What a task family is: it makes tasks of an asked length, whose answers can be checked."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal, Protocol, TypeVar

from scorer.training.data.sample import Answer

CountTokens = Callable[[str], int]
Item = TypeVar("Item")
# how the answer follows from the prompt: it stands there, `solve` derives it, or there is no single one
Evidence = Literal["verbatim", "derived", "open"]
GENERATED = "generated"


class CannotMake(Exception):
    """The texts at hand hold no task of the family. The message says why."""


@dataclass(frozen=True)
class Task:
    """A context and a question about it; forms.py makes a prompt of them."""

    context: str
    question: str
    answer: Answer | None
    source: str = GENERATED
    # what a raw prompt ends with instead of a drawn ending, empty for nothing
    cue: str | None = None


@dataclass(frozen=True)
class Passage:
    """Consecutive paragraphs under the title of the document they are from."""

    title: str
    paragraphs: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n\n".join(self.paragraphs)


class Filler(Protocol):
    """Real text of one source."""

    @property
    def source(self) -> str: ...

    def passages(self, rng: Random) -> Iterator[Passage]:
        """Documents without end, in an order drawn by `rng`, each from its beginning."""
        ...

    def paragraphs(self, rng: Random) -> Iterator[str]:
        """Consecutive paragraphs without end, from a place drawn by `rng`."""
        ...


class Family(Protocol):
    """Parameters are the fields of a frozen dataclass; everything random comes from `rng`."""

    evidence: ClassVar[Evidence]

    def make(self, rng: Random, filler: Filler, target_tokens: int, count_tokens: CountTokens) -> Task:
        """A task whose context is about `target_tokens` long, never much longer. Raises CannotMake."""
        ...


class Solver(Protocol):
    """A family with `derived` evidence can also do this."""

    def solve(self, task: Task) -> tuple[str, ...]:
        """The values of the answer, worked out from the text of the task alone."""
        ...


def take_tokens(
    items: Iterable[Item],
    tokens: int,
    count_tokens: CountTokens,
    line: Callable[[Item], str] = str,
    least: int = 2,
    end: str = "\n",
) -> list[Item]:
    """The first `items`, whole, whose lines fit into `tokens`, each with its `end`; never fewer than `least`."""
    taken: list[Item] = []
    for item in items:
        tokens -= count_tokens(line(item) + end)
        if tokens < 0 and len(taken) >= least:
            break
        taken.append(item)
    return taken


def take_text(paragraphs: Iterable[str], tokens: int, count_tokens: CountTokens) -> list[str]:
    """The first `paragraphs` up to `tokens` tokens in all, the last one cut between words."""
    taken: list[str] = []
    for paragraph in paragraphs:
        cost = count_tokens(paragraph + "\n\n")
        if cost > tokens:
            words = paragraph.split(" ")
            taken.append(" ".join(words[: len(words) * max(tokens, 0) // cost]))
            break
        taken.append(paragraph)
        tokens -= cost
    return [paragraph for paragraph in taken if paragraph]


def scatter(rng: Random, texts: list[str], needles: list[str]) -> list[str]:
    """`texts` with `needles` in between, in their order, at places drawn by `rng`."""
    places = sorted(rng.randint(0, len(texts)) for _ in needles)
    mixed = list(texts)
    for place, needle in reversed(list(zip(places, needles, strict=True))):
        mixed.insert(place, needle)
    return mixed


def sentences(paragraphs: list[str]) -> list[str]:
    """The paragraphs cut after full stops, so that something can stand between two sentences."""
    cut: list[str] = []
    for paragraph in paragraphs:
        parts = paragraph.replace(". ", ". \0").split("\0")
        cut.extend([*parts[:-1], parts[-1] + "\n\n"])
    return cut
