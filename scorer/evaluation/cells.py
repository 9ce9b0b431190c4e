"""Results by cell: a family in one form, prompts of similar length, one budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scorer.evaluation.methods import FULL
from scorer.evaluation.results import Result

# upper ends of the buckets in tokens, a little above the round numbers
BUCKETS = ((480, "-0.5K"), (1100, "0.5K-1K"), (2200, "1K-2K"), (4400, "2K-4K"), (8800, "4K-8K"))
LONGER = "8K-"
# the reference of differences and gaps
WINDOW = "window"


@dataclass(frozen=True, order=True)
class Cell:
    """What is averaged over and never across."""

    family: str
    templated: bool
    prompt_tokens: str  # label of the bucket
    budget: str


# of one cell: method -> sample -> result
ByMethod = Mapping[str, Mapping[str, Result]]


def bucket(tokens: int) -> str:
    """The label of a prompt length."""
    return next((label for end, label in BUCKETS if tokens <= end), LONGER)


def cells(results: Iterable[Result]) -> dict[Cell, ByMethod]:
    """Results by cell, method and sample; those of the whole cache, which has no budget, are in every cell."""
    full: dict[str, Result] = {}
    found: dict[Cell, dict[str, dict[str, Result]]] = {}
    for result in results:
        if result.method == FULL:
            full[result.sample] = result
            continue
        cell = Cell(result.family, result.templated, bucket(result.prompt_tokens), result.budget)
        found.setdefault(cell, {}).setdefault(result.method, {})[result.sample] = result
    for methods in found.values():
        samples = {sample for each in methods.values() for sample in each}
        methods[FULL] = {sample: full[sample] for sample in sorted(samples) if sample in full}
    return {cell: found[cell] for cell in sorted(found, key=_order)}


def in_every_budget(results: Sequence[Result]) -> list[Result]:
    """Those of the samples that have all budgets of their prompt length, so that a curve is of the same samples."""
    by_length: dict[str, set[str]] = {}
    by_sample: dict[str, set[str]] = {}
    for result in results:
        if result.method != FULL:
            by_length.setdefault(bucket(result.prompt_tokens), set()).add(result.budget)
            by_sample.setdefault(result.sample, set()).add(result.budget)
    return [
        result
        for result in results
        if by_sample.get(result.sample, set()) == by_length.get(bucket(result.prompt_tokens))
    ]


def metric_of(methods: ByMethod, names: Sequence[str], metric: str) -> list[list[float]]:
    """The metric of each method, on the samples where all of `names` have it, in one order: pairs stay pairs."""
    samples = set.intersection(*(_measured(methods.get(name, {}), metric) for name in names))
    return [[getattr(methods[name][sample], metric) for sample in sorted(samples)] for name in names]


def budget_order(label: str) -> tuple[bool, float]:
    """Numbers of tokens first, each kind from small to large."""
    return label.endswith("%"), float(label.removesuffix("%"))


def _measured(results: Mapping[str, Result], metric: str) -> set[str]:
    return {sample for sample, result in results.items() if getattr(result, metric) is not None}


def _order(cell: Cell) -> tuple[object, ...]:
    labels = [label for _, label in BUCKETS] + [LONGER]
    return labels.index(cell.prompt_tokens), budget_order(cell.budget), cell.family, not cell.templated
