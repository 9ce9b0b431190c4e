"""`python -m scorer.evaluation ablation`: trainings side by side, on the same samples."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from scorer.evaluation.cells import ByMethod, Cell, cells, metric_of
from scorer.evaluation.results import BadResults, read_results
from scorer.evaluation.verdict import OURS, Verdict, judge
from scorer.reports import Report, write_report

INTERRUPTED = 130
METRIC = "nll"
RETAINED = "retained_evictable"
CAPTION = (
    "One row for each training and policy. gap_closed: share of the answer-NLL gap from window to full KV, per cell "
    "(family and form), here the median and the worst of the cells that have a gap. Retained mass is that of full KV's "
    "own answer, which the right answer need not agree with. All rows are of the same samples."
)


def ablation(
    trainings: Annotated[list[str], typer.Argument(help="NAME=RESULTS.jsonl for each training", metavar="NAME=FILE")],
    out: Annotated[Path, typer.Option(help="folder of the report", file_okay=False)] = Path("build/reports"),
    budget: Annotated[str, typer.Option(help="one that all files have")] = "20%",
    seed: Annotated[int, typer.Option(min=0, help="of the bootstrap")] = 0,
) -> None:
    """A table of what adapters of different trainings reach."""
    try:
        files = dict(_named(training) for training in trainings)
        found = {name: _cells(file, budget) for name, file in files.items()}
        rows = [row for name, each in found.items() for row in _rows(name, each, seed)]
        settings = {"budget": budget, "metric": METRIC, "files": {name: file.name for name, file in files.items()}}
        file = write_report(Report("ablation", settings, rows, CAPTION), out)
    except (BadResults, OSError) as error:
        raise SystemExit(f"{error}") from error
    except KeyboardInterrupt:
        sys.stderr.write("stopped; no report was written\n")
        raise SystemExit(INTERRUPTED) from None
    Console().print(_table(rows))
    typer.echo(f"{file}")


def _named(training: str) -> tuple[str, Path]:
    name, equals, file = training.partition("=")
    if not (name and equals and file):
        raise BadResults(f"{training!r}: write NAME=RESULTS.jsonl")
    return name, Path(file)


def _cells(file: Path, budget: str) -> Mapping[Cell, ByMethod]:
    found = {cell: methods for cell, methods in cells(read_results(file)).items() if cell.budget == budget}
    if not found:
        raise BadResults(f"{file}: has no results at budget {budget}")
    return found


def _rows(name: str, found: Mapping[Cell, ByMethod], seed: int) -> Iterator[dict[str, Any]]:
    for method in OURS:
        verdict = judge(found, method, METRIC, seed)
        if verdict is not None:
            yield {"training": name, "policy": method, **_figures(verdict, found)}


def _figures(verdict: Verdict, found: Mapping[Cell, ByMethod]) -> dict[str, Any]:
    gaps = [standing.gap_closed for standing in verdict.standings]
    retained = [fmean(values) for values in _retained(verdict.method, found.values())]
    return {
        "gap_closed_median": round(verdict.median_gap, 4),
        "gap_closed_worst": round(min(gaps), 4),
        "cells": len(gaps),
        "cells_above_window": len(gaps) - len(verdict.below_window),
        RETAINED: round(fmean(retained), 4) if retained else None,
        "samples": sum(len(methods[verdict.method]) for methods in found.values() if verdict.method in methods),
    }


def _retained(method: str, found: Iterable[ByMethod]) -> Iterator[list[float]]:
    for methods in found:
        if method in methods:
            (values,) = metric_of(methods, (method,), RETAINED)
            if values:
                yield values


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(caption=CAPTION, caption_justify="left")
    for column in rows[0] if rows else ():
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    return table
