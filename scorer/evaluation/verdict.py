"""What the results say about our own two methods, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from scorer.evaluation.bootstrap import difference
from scorer.evaluation.cells import WINDOW, ByMethod, Cell, metric_of
from scorer.evaluation.methods import FULL
from scorer.evaluation.summary import gap

OURS = ("lookahead", "fused")
# they know the answer, or how the target would draft with the whole cache
UPPER_BOUNDS = (FULL, "oracle", "oracle_mean", "speckv_full")
# an interval of fewer samples is too narrow to say that a difference leaves it
LEAST_SAMPLES = 10


@dataclass(frozen=True)
class Standing:
    """One of our methods in one cell, by a metric of which lower is better."""

    cell: Cell
    gap_closed: float
    beats_window: bool
    ahead_of_all: bool
    best_other: str
    behind_best_other: bool  # outside the interval of the paired difference


@dataclass(frozen=True)
class Verdict:
    """One of our methods in all cells of a budget. Cells without a gap between window and full KV say nothing."""

    method: str
    metric: str
    standings: Sequence[Standing]
    no_gap: Sequence[Cell]
    worse_than_window: Sequence[Cell]  # outside the interval of the paired difference

    @property
    def median_gap(self) -> float:
        return median(standing.gap_closed for standing in self.standings)

    @property
    def below_window(self) -> list[Cell]:
        return [standing.cell for standing in self.standings if not standing.beats_window]

    @property
    def wins(self) -> int:
        return sum(standing.ahead_of_all for standing in self.standings)

    @property
    def losses(self) -> list[Standing]:
        return [standing for standing in self.standings if not standing.ahead_of_all]


def judge(cells: Mapping[Cell, ByMethod], method: str, metric: str, seed: int) -> Verdict | None:
    """Of a method on `cells`; None when no cell has the method, the window and a gap."""
    standings, no_gap, worse = [], [], []
    for cell, methods in cells.items():
        if not {method, WINDOW} <= methods.keys():
            continue
        found = gap(methods, method, metric, seed)
        if found is None:
            no_gap.append(cell)
        else:
            standings.append(_standing(cell, methods, method, metric, found.mean, seed))
        values, window = metric_of(methods, (method, WINDOW), metric)
        if _above(values, window, seed):
            worse.append(cell)
    return Verdict(method, metric, standings, no_gap, worse) if standings else None


def lines(cells: Mapping[Cell, ByMethod], metric: str, seed: int) -> list[str]:
    """The verdicts on our methods in sentences, for each prompt length."""
    lengths = dict.fromkeys(cell.prompt_tokens for cell in cells)
    return [line for tokens in lengths for line in _lines(cells, metric, tokens, seed)]


def _lines(cells: Mapping[Cell, ByMethod], metric: str, tokens: str, seed: int) -> list[str]:
    chosen = {cell: methods for cell, methods in cells.items() if cell.prompt_tokens == tokens}
    found = [verdict for name in OURS if (verdict := judge(chosen, name, metric, seed))]
    if not found:
        return [f"{tokens} tokens, {metric}: no cell has one of {', '.join(OURS)}, the window and a gap to close."]
    return [f"{tokens} tokens, {metric}: {_sentence(verdict)}" for verdict in found]


def _standing(cell: Cell, methods: ByMethod, method: str, metric: str, gap_closed: float, seed: int) -> Standing:
    others = [name for name in methods if name not in (*UPPER_BOUNDS, *OURS)]
    # pairs, so that a method that was run on fewer samples is compared on those
    pairs = {name: metric_of(methods, (method, name), metric) for name in others}
    means = {name: fmean(values) - fmean(own) for name, (own, values) in pairs.items() if values}
    best = min(means, key=lambda name: means[name])
    own, values = pairs[best]
    behind = _above(own, values, seed)
    return Standing(cell, gap_closed, means[WINDOW] > 0, means[best] > 0, best, behind)


def _above(values: Sequence[float], reference: Sequence[float], seed: int) -> bool:
    """Whether values are the higher ones, outside the interval of the paired difference."""
    return len(values) >= LEAST_SAMPLES and difference(values, reference, seed).lo > 0


def _sentence(verdict: Verdict) -> str:
    count = len(verdict.standings)
    below = f"not above window in {_named(verdict.below_window)}" if verdict.below_window else "above window in all"
    worse = _named(verdict.worse_than_window) if verdict.worse_than_window else "nowhere"
    silent = f"; no gap to close in {_named(verdict.no_gap)}" if verdict.no_gap else ""
    return (
        f"{verdict.method} closes {100 * verdict.median_gap:.0f} % of the gap in the median of {count} cells, "
        f"{below}, ahead of every other method in {verdict.wins} of {count}{_losses(verdict)}; worse than window "
        f"outside the interval: {worse}{silent}."
    )


def _losses(verdict: Verdict) -> str:
    if not verdict.losses:
        return ""
    named = (
        f"{each.best_other} in {_named([each.cell])}{', outside the interval' if each.behind_best_other else ''}"
        for each in verdict.losses
    )
    return f" (ahead are {'; '.join(named)})"


def _named(cells: Sequence[Cell]) -> str:
    return ", ".join(f"{cell.family} {'templated' if cell.templated else 'raw'}" for cell in cells)
