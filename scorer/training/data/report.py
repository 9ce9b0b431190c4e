"""What was built, as a table or as JSON."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

from scorer.training.data.build import Built


@dataclass(frozen=True)
class Row:
    """One family in one form; lengths are prompt tokens."""

    family: str
    form: str
    samples: int
    min_tokens: int
    p20_tokens: int
    p50_tokens: int
    p80_tokens: int
    max_tokens: int
    sources: tuple[str, ...]


def summarise(built: Iterable[Built]) -> list[Row]:
    """A row for each family and form."""
    cells: dict[tuple[str, str], list[Built]] = defaultdict(list)
    for one in built:
        cells[one.sample.family, one.sample.form].append(one)
    return [_row(family, form, cell) for (family, form), cell in sorted(cells.items())]


def _row(family: str, form: str, cell: Sequence[Built]) -> Row:
    tokens = sorted(one.tokens for one in cell)
    low, middle, high = (tokens[(len(tokens) - 1) * share // 100] for share in (20, 50, 80))
    sources = tuple(sorted({one.sample.source for one in cell}))
    return Row(family, form, len(cell), tokens[0], low, middle, high, tokens[-1], sources)


def as_table(rows: Sequence[Row], title: str) -> Table:
    """The rows for a terminal."""
    texts = sorted({source for row in rows for source in row.sources})
    table = Table(title=title, caption=f"text: {', '.join(texts)}", title_justify="left", caption_justify="left")
    table.add_column("family")
    table.add_column("form")
    for name in ("samples", "min", "p20", "p50", "p80", "max"):
        table.add_column(name, justify="right")
    for row in rows:
        *cells, _ = asdict(row).values()
        table.add_row(*map(str, cells))
    return table


def as_json(rows: Sequence[Row], file: str, missing: Sequence[str]) -> str:
    """The same on one line, for scripts."""
    return json.dumps({"file": file, "missing": list(missing), "cells": [asdict(row) for row in rows]})
