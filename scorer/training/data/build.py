"""Builds samples: the same seed, tokenizer and texts give the same bytes."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import get_args

from scorer.training.data.families import OF_SPLIT, load_family
from scorer.training.data.families.base import CannotMake
from scorer.training.data.forms import ChatTokenizer, forms_of, token_ids, wrap
from scorer.training.data.sample import Form, Sample, Split
from scorer.training.data.sources import load_source, source_names

MOST_TRIES = 12
# what template, question and ending take of a prompt, before the first try shows it
FRAME_TOKENS = 60


class CannotBuild(Exception):
    """The plan names what does not exist, or no prompt of the asked length came about. The message says which."""


@dataclass(frozen=True)
class BuildPlan:
    """What to build. Families and forms take turns, so every cell gets the same number of samples, or one more."""

    split: Split
    count: int
    min_tokens: int
    max_tokens: int
    seed: int = 0
    # empty: all of the split
    forms: Sequence[Form] = ()
    families: Sequence[str] = ()
    optional_sources: bool = False

    def __post_init__(self) -> None:
        _check_known("split", [self.split], OF_SPLIT)
        _check_known("family", self.families, OF_SPLIT[self.split])
        _check_known("form", self.forms, get_args(Form))
        if not 0 < self.min_tokens < self.max_tokens:
            raise CannotBuild(f"tokens: {self.min_tokens} to {self.max_tokens} is no range of prompt lengths")
        if self.count < 1:
            raise CannotBuild(f"count: must be at least 1, got {self.count}")

    @property
    def cells(self) -> list[tuple[str, Form]]:
        """Family and form, in the order in which they take turns."""
        families = [name for name in OF_SPLIT[self.split] if name in self.families or not self.families]
        return [(name, form) for form in self.forms or forms_of(self.split) for name in families]


@dataclass(frozen=True)
class Built:
    """A sample and the length of its prompt."""

    sample: Sample
    tokens: int


def build(plan: BuildPlan, tokenizer: ChatTokenizer) -> Iterator[Built]:
    """`plan.count` samples, one at a time. Raises CannotBuild, NoText."""
    cells = plan.cells
    for i in range(plan.count):
        yield build_one(plan, *cells[i % len(cells)], i // len(cells), tokenizer)


def build_one(plan: BuildPlan, name: str, form: Form, index: int, tokenizer: ChatTokenizer) -> Built:
    """Sample `index` of a cell, the same whatever else is built. Its context is fitted until the prompt's length is."""
    seed = sample_seed(plan, name, form, index)
    family = load_family(name)()
    filler = load_source(source_of(plan, name, form, index))

    def count_tokens(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    wanted = Random(seed).randint(plan.min_tokens, plan.max_tokens)
    target = max(1, wanted - FRAME_TOKENS)
    seen: list[int] = []
    for _ in range(MOST_TRIES):
        try:
            task = family.make(Random(seed), filler, target, count_tokens)
        except CannotMake as error:
            raise CannotBuild(f"{name}, {form}, seed {seed}: {error}") from error
        # the frame has its own numbers, so that a longer context is asked about in the same way
        prompt = wrap(task, form, plan.split, Random(seed + 1), tokenizer)
        sample = Sample(name, plan.split, task.source, form, seed, prompt=prompt, expected=task.answer)
        seen.append(len(token_ids(sample, tokenizer)))
        if plan.min_tokens <= seen[-1] <= plan.max_tokens:
            return Built(sample, seen[-1])
        target = max(1, target + wanted - seen[-1])
    raise CannotBuild(
        f"{name}, {form}, seed {seed}: no prompt of {plan.min_tokens} to {plan.max_tokens} tokens; tries had "
        + ", ".join(map(str, seen))
    )


def sample_seed(plan: BuildPlan, family: str, form: Form, index: int) -> int:
    """The seed of one sample, below 2**48."""
    words = f"{plan.seed}/{plan.split}/{family}/{form}/{index}"
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:6])


def source_of(plan: BuildPlan, family: str, form: Form, index: int) -> str:
    """The text source of one sample: they take turns within a cell, and cells begin with different ones."""
    names = source_names(plan.split, plan.optional_sources)
    return names[(index + sample_seed(plan, family, form, 0)) % len(names)]


def _check_known(what: str, asked: Sequence[str], known: Collection[str]) -> None:
    if unknown := [name for name in asked if name not in known]:
        raise CannotBuild(f"{what}: {', '.join(unknown)} is not known here; choose of {', '.join(known)}")
