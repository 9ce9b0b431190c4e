"""The Markdown that people read; every number is in the JSON beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from scorer.evaluation.methods import FULL

# in this order where a table has them; peers and what comes later follow by name
FIRST = (
    FULL,
    "oracle",
    "oracle_mean",
    "fused",
    "lookahead",
    "window",
    "streaming",
    "random",
    "laq",
    "speckv",
    "speckv_self",
    "speckv_full",
)
LABELS = {
    "speckv": "SpecKV",
    "speckv_self": "SpecKV-like, self-drafted",
    "speckv_full": "SpecKV-like, drafted by full KV",
    "laq": "LAQ",
}

Row = Mapping[str, Any]


def methods_of(rows: Iterable[Row]) -> list[str]:
    """The methods that occur, in the order in which tables and plots show them."""
    names = {row["method"] for row in rows}
    return [name for name in FIRST if name in names] + sorted(names.difference(FIRST))


def label(method: str) -> str:
    """What a method is called in tables and plots."""
    return LABELS.get(method, method)


def by_cell(rows: Sequence[Row], metric: str, budget: str) -> str:
    """One line for each cell, one column for each method: the mean, and its interval in small print."""
    chosen = [row for row in rows if row["metric"] == metric and row["budget"] == budget]
    columns = methods_of(chosen)
    lines = [_line(["family", "form", "tokens", "n", *map(label, columns)]), _line(["---"] * (4 + len(columns)))]
    cells: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in chosen:
        cells.setdefault((row["family"], row["templated"], row["prompt_tokens"]), {})[row["method"]] = row
    for (family, templated, tokens), found in cells.items():
        count = max(row["n"] for row in found.values())
        start = [family, "templated" if templated else "raw", tokens, str(count)]
        lines.append(_line([*start, *(_figure(found.get(name)) for name in columns)]))
    return "\n".join(lines)


def by_budget(rows: Sequence[Row], metric: str) -> str:
    """One line for each prompt length and budget, one column for each method: how far it goes from window to full."""
    chosen = [row for row in rows if row["metric"] == f"{metric}_gap_closed"]
    columns = methods_of(chosen)
    lines = [_line(["tokens", "budget", "cells", *map(label, columns)]), _line(["---"] * (3 + len(columns)))]
    groups: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in chosen:
        shares = groups.setdefault((row["prompt_tokens"], row["budget"]), {})
        shares.setdefault(row["method"], []).append(row["mean"])
    for (tokens, budget), shares in groups.items():
        count = max(map(len, shares.values()))
        medians = [f"{median(shares[name]):.2f}" if name in shares else "-" for name in columns]
        lines.append(_line([tokens, budget, str(count), *medians]))
    return "\n".join(lines)


def _figure(row: Row | None) -> str:
    return "-" if row is None else f"{row['mean']:.3f} <sub>{row['lo']:.2f} to {row['hi']:.2f}</sub>"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
