"""Medians and their spread for each case, and how they compare with the first one's."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any

from rich.table import Table

from services.cli.bench.cases import Case
from services.cli.bench.measuring import Sample
from services.shared.cli.output import table_of


@dataclass(frozen=True)
class Spread:
    """Median, tenth and ninetieth percentile."""

    p50: float
    p10: float
    p90: float


@dataclass(frozen=True)
class Row:
    """A case; `*_ratio` are medians of its prompts' ratios to the first case's, 1 for that one."""

    case: str
    answers: int
    failures: int
    kept_ratio: float
    ttft_ms: Spread
    tpot_ms: Spread
    tokens_per_s: float
    ttft_ratio: float
    tpot_ratio: float


def rows_of(cases: Sequence[Case], samples: Sequence[Sample]) -> list[Row]:
    """A row for each case that has an answer."""
    by_case = {case: [sample for sample in samples if sample.work.case == case] for case in cases}
    first = {sample.work.number: sample for sample in by_case[cases[0]] if not sample.error}
    return [_row(case, found, first) for case, found in by_case.items() if any(not one.error for one in found)]


def bench_table(rows: Sequence[Row]) -> Table:
    """For people."""
    table = table_of("case", "answers", "kept", "TTFT ms", "TPOT ms", "tokens/s", "TTFT ratio", "TPOT ratio")
    for row in rows:
        answers = f"{row.answers}" + (f", {row.failures} failed" if row.failures else "")
        ratios = (f"{row.ttft_ratio:.2f}", f"{row.tpot_ratio:.2f}")
        spreads = (_text(row.ttft_ms), _text(row.tpot_ms))
        table.add_row(row.case, answers, f"{row.kept_ratio:.1%}", *spreads, f"{row.tokens_per_s:.1f}", *ratios)
    return table


def plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For programs and reports: flat."""
    found = []
    for row in rows:
        flat = asdict(row)
        for name in ("ttft_ms", "tpot_ms"):
            flat |= {f"{name}_{part}": value for part, value in flat.pop(name).items()}
        found.append({name: round(value, 4) if isinstance(value, float) else value for name, value in flat.items()})
    return found


def _row(case: Case, samples: Sequence[Sample], first: dict[int, Sample]) -> Row:
    good = [sample for sample in samples if not sample.error]
    pairs = [(sample, first[sample.work.number]) for sample in good if sample.work.number in first]
    return Row(
        case.name,
        len(good),
        len(samples) - len(good),
        median(sample.kept_tokens / sample.prompt_tokens for sample in good),
        _spread([1000 * sample.ttft_seconds for sample in good]),
        _spread([1000 * sample.tpot_seconds for sample in good]),
        median(1 / sample.tpot_seconds if sample.tpot_seconds else 0.0 for sample in good),
        _ratio([(mine.ttft_seconds, other.ttft_seconds) for mine, other in pairs]),
        _ratio([(mine.tpot_seconds, other.tpot_seconds) for mine, other in pairs]),
    )


def _spread(values: Sequence[float]) -> Spread:
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    tenths = quantiles(values, n=10, method="inclusive")
    return Spread(median(values), tenths[0], tenths[-1])


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    ratios = [mine / other for mine, other in pairs if other]
    return median(ratios) if ratios else 0.0


def _text(spread: Spread) -> str:
    return f"{spread.p50:.1f} ({spread.p10:.1f} to {spread.p90:.1f})"
