"""`python -m scorer.evaluation report`: from files of results to JSON, Markdown and plots."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown

from scorer.evaluation.bootstrap import CONFIDENCE, RESAMPLES
from scorer.evaluation.cells import ByMethod, Cell, cells, in_every_budget
from scorer.evaluation.plots import TITLES, plot_metric
from scorer.evaluation.results import METRICS, BadResults, Result, read_results, settings_file
from scorer.evaluation.summary import GAPS, rows
from scorer.evaluation.tables import by_budget, by_cell
from scorer.evaluation.verdict import lines
from scorer.reports import Report, as_json
from scorer.training.progress import counting_bar

INTERRUPTED = 130
# what results in one report must share, where both sides know it
SHARED = ("model_fingerprint", "dtype", "adapter_sha256", "response_tokens", "sink_tokens", "recent_tokens")
CAPTION = """\
Prompts are compressed with the question visible, once, after prefill. Every method keeps the same number of tokens in
every layer and KV head, with their RoPE; ours keep the first `sink_tokens` and last `recent_tokens` always. The first
answer token is sampled before anything is evicted, so it is the same for all methods: `nll`, `kl` and `agreement`
count it, as users see it. `nll_replayed` is the answer NLL where the prompt's last token runs again after eviction;
answers of a single token say nothing otherwise. Retained mass is that of full KV's greedy answer, over evictable
tokens only. Accuracy is counted where full KV is right. Without a smaller model of the same tokenizer the drafts of
"SpecKV-like, self-drafted" are made by the lower third of the target's own layers. In small print: 95 % bootstrap
intervals over samples."""


def report(
    results: Annotated[Path, typer.Option(help="results of `run`", exists=True, dir_okay=False)],
    merge: Annotated[list[Path] | None, typer.Option(help="more results, of shards or peers; may be repeated")] = None,
    out: Annotated[Path, typer.Option(help="folder of the report", file_okay=False)] = Path("build/reports"),
    name: Annotated[str, typer.Option(help="of the report")] = "quality",
    budget: Annotated[str, typer.Option(help="of the verdict and the tables")] = "20%",
    seed: Annotated[int, typer.Option(min=0, help="of the bootstrap")] = 0,
    json: Annotated[bool, typer.Option(help="print the verdict as JSON")] = False,
) -> None:
    """Means with intervals for every cell, tables, plots, and a verdict on our own methods."""
    try:
        files = [results, *(merge or [])]
        merged = _merged(files)
        found, curves = cells(merged), cells(in_every_budget(merged))
        made = Report(name, _settings(files, seed, budget), _rows(found, seed), CAPTION)
        verdict = _verdict(found, budget, seed)
        text = _write(made, verdict, budget, _plots(list(rows(curves, seed)), out, name), out)
    except (BadResults, OSError) as error:
        raise SystemExit(f"{error}") from error
    except KeyboardInterrupt:
        sys.stderr.write("stopped; no report was written\n")
        raise SystemExit(INTERRUPTED) from None
    if json:
        typer.echo(json_format.dumps({"report": str(text), "verdict": verdict}))
    else:
        Console().print(Markdown("\n".join(f"- {line}" for line in verdict)))
        typer.echo(f"{text}")


def _merged(files: Sequence[Path]) -> list[Result]:
    """Of all files, each result once; where two files have it, that of the first."""
    found: dict[tuple[str, str, str], Result] = {}
    for file in files:
        for result in read_results(file):
            found.setdefault(result.key, result)
    if not found:
        raise BadResults(f"{', '.join(map(str, files))}: no results there; run the evaluation first")
    return list(found.values())


def _settings(files: Sequence[Path], seed: int, budget: str) -> dict[str, Any]:
    """What the results were made with, file by file. Raises BadResults when they cannot be compared."""
    sources = {file.name: _made_with(file) for file in files}
    for field in SHARED:
        values = {json_format.dumps(each[field]): name for name, each in sources.items() if each.get(field)}
        if len(values) > 1:
            differing = ", ".join(f"{value} in {name}" for value, name in values.items())
            raise BadResults(f"{field}: is {differing}; such results cannot be compared")
    first = next(iter(sources.values()))
    shared = {field: first[field] for field in ("model", *SHARED) if field in first}
    boot = {"bootstrap_seed": seed, "bootstrap_resamples": RESAMPLES, "confidence": CONFIDENCE}
    return {**shared, **boot, "verdict_budget": budget, "sources": sources}


def _made_with(file: Path) -> dict[str, Any]:
    beside = settings_file(file)
    if not beside.exists():
        raise BadResults(f"{file}: has no {beside.name} beside it, which says what it was made with")
    settings: dict[str, Any] = json_format.loads(beside.read_text(encoding="utf-8"))
    return settings


def _rows(found: Mapping[Cell, ByMethod], seed: int) -> list[dict[str, Any]]:
    with counting_bar("intervals", len(found)) as on_cell:
        return list(rows(found, seed, on_cell))


def _verdict(found: Mapping[Cell, ByMethod], budget: str, seed: int) -> list[str]:
    chosen = {cell: methods for cell, methods in found.items() if cell.budget == budget}
    return [line for metric in GAPS for line in lines(chosen, metric, seed)]


def _write(made: Report, verdict: Sequence[str], budget: str, plots: Sequence[Path], out: Path) -> Path:
    """JSON, and Markdown that shows the plots beside it; returns the path of the first."""
    file = out / f"{made.name}.json"
    # one row a line: thousands of rows that a diff can show
    content = as_json(made)
    body = ",\n".join(f"  {json_format.dumps(row)}" for row in content.pop("rows"))
    head = json_format.dumps(content, indent=1)[:-2]
    file.write_text(f'{head},\n "verdict": {json_format.dumps(list(verdict), indent=1)},\n "rows": [\n{body}\n ]\n}}\n')
    parts = [f"# {made.name}", "\n".join(f"- {line}" for line in verdict), made.caption]
    for metric in METRICS:
        parts += [f"## {metric}, budget {budget}", by_cell(made.rows, metric, budget)]
    for metric in GAPS:
        parts += [f"## {metric}: share of the gap closed, median of the cells", by_budget(made.rows, metric)]
    parts += ["## Quality against budget, on the samples that were measured at every budget"] if plots else []
    parts += [f"![{plot.stem}]({plot.name})" for plot in plots]
    parts.append(
        f"{content['date']}, commit {content['commit'] or 'unknown'}; machine and settings are in {file.name}."
    )
    file.with_suffix(".md").write_text("\n\n".join(parts) + "\n")
    return file


def _plots(made: Sequence[dict[str, Any]], out: Path, name: str) -> list[Path]:
    """Drawn of what is there; their paths."""
    out.mkdir(parents=True, exist_ok=True)
    plots = []
    for tokens in dict.fromkeys(row["prompt_tokens"] for row in made):
        for metric in TITLES:
            file = out / f"{name}-{metric}-{tokens}.png"
            plots += [file] if plot_metric(made, metric, tokens, file) else []
    return plots
