"""Means with intervals, one row for each cell, method and metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scorer.evaluation.bootstrap import Estimate, closed, difference, mean
from scorer.evaluation.cells import WINDOW, ByMethod, Cell, metric_of
from scorer.evaluation.methods import FULL
from scorer.evaluation.results import METRICS

# metrics of which lower is better and full KV is the best: their gap from the window can be closed
GAPS = ("nll", "nll_replayed", "kl")
# below any difference that rounding makes; a cell whose window loses less has no gap
LEAST_GAP = 1e-3


def rows(
    cells: Mapping[Cell, ByMethod], seed: int, on_cell: Callable[[int], None] = lambda count: None
) -> Iterator[dict[str, Any]]:
    """Every metric that was measured, and for GAPS the difference to the window and the share of the gap closed."""
    for cell, methods in cells.items():
        for method in methods:
            for metric, estimate in _estimates(methods, method, seed):
                yield _row(cell, method, metric, estimate)
        on_cell(1)


def gap(methods: ByMethod, method: str, metric: str, seed: int) -> Estimate | None:
    """The share of the way from window to full KV that the method goes, in one cell; None where there is no way."""
    if not {method, WINDOW, FULL} <= methods.keys():
        return None
    values, worst, best = metric_of(methods, (method, WINDOW, FULL), metric)
    if not values or sum(worst) - sum(best) < LEAST_GAP * len(values):
        return None
    return closed(values, worst, best, seed)


def _estimates(methods: ByMethod, method: str, seed: int) -> Iterator[tuple[str, Estimate]]:
    for metric in METRICS:
        (values,) = metric_of(methods, (method,), metric)
        if values:
            yield metric, mean(values, seed)
    if method == FULL or WINDOW not in methods:
        return
    for metric in GAPS:
        values, window = metric_of(methods, (method, WINDOW), metric)
        if values and method != WINDOW:
            yield f"{metric}_minus_window", difference(values, window, seed)
        found = gap(methods, method, metric, seed)
        if found is not None:
            yield f"{metric}_gap_closed", found


def _row(cell: Cell, method: str, metric: str, estimate: Estimate) -> dict[str, Any]:
    return {
        "family": cell.family,
        "templated": cell.templated,
        "prompt_tokens": cell.prompt_tokens,
        "budget": cell.budget,
        "method": method,
        "metric": metric,
        "mean": round(estimate.mean, 5),
        "lo": round(estimate.lo, 5),
        "hi": round(estimate.hi, 5),
        "n": estimate.n,
    }
