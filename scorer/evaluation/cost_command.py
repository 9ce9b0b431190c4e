"""`python -m scorer.evaluation cost`: what each method adds to a prefill, over prompt lengths."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from scorer.adapters.config import AdapterConfig
from scorer.adapters.errors import AdapterError
from scorer.adapters.weights import AdapterWeights
from scorer.evaluation.cost import Cost, costs
from scorer.evaluation.inputs import load_adapter
from scorer.reports import Report, write_report
from scorer.training.frozen_model import FrozenModel
from scorer.training.loop import new_adapter
from scorer.training.model_folder import CannotLoad, load_model
from scorer.training.progress import counting_bar
from scorer.training.rows_forward import LookaheadModel

INTERRUPTED = 130
EXPECTED = (AdapterError, CannotLoad, OSError)
LENGTHS = (512, 1024, 2048, 4096, 8192)
# of LAQ's authors, and that of LookaheadKV's comparison as far as its times tell (scorer/evaluation/README.md)
DRAFTS = (8, 32)
CAPTION = """\
Medians of whole runs of one prompt of random tokens, one after the other. `prefill_ms` is the model's own prefill in
transformers. `added_ms` is all that a method adds: rows, scores, drafts, selection, compaction, with the kernels that
serving uses (on a CPU their references), outside of the engine. LAQ's draft begins with the token that prefill made
and its queries are remembered, not computed again. "speckv_self" is SpecKV-like, self-drafted: the lower third of the
target's own layers drafts, so no second model is prefilled, which a real draft model has to be."""


def cost(
    model: Annotated[Path, typer.Option(help="folder of the model", exists=True, file_okay=False)],
    adapter: Annotated[Path | None, typer.Option(help="folder of the adapter; without one an untrained")] = None,
    prompt_tokens: Annotated[list[int] | None, typer.Option(min=64, help="may be repeated")] = None,
    draft_tokens: Annotated[list[int] | None, typer.Option(min=1, help="may be repeated")] = None,
    budget_ratio: Annotated[float, typer.Option(min=0.01, max=0.99, help="kept share of the prompt")] = 0.2,
    repeats: Annotated[int, typer.Option(min=1, help="times that a median is of")] = 5,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16")] = "bfloat16",
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    seed: Annotated[int, typer.Option(help="of the prompts")] = 0,
    out: Annotated[Path, typer.Option(help="folder of the report", file_okay=False)] = Path("build/reports"),
    name: Annotated[str, typer.Option(help="of the report")] = "cost",
    json: Annotated[bool, typer.Option(help="print the rows as JSON")] = False,
) -> None:
    """Times scoring, drafts and compaction against prefill."""
    lengths, drafts = tuple(prompt_tokens or LENGTHS), tuple(draft_tokens or DRAFTS)
    settings = {"model": model.resolve().name, "dtype": dtype, "device": device, "threads": torch.get_num_threads()}
    settings |= {"budget_ratio": budget_ratio, "repeats": repeats, "seed": seed, "draft_tokens": list(drafts)}
    try:
        loaded = load_model(model, dtype, device)
        weights, settings["adapter_sha256"] = _adapter(adapter, model, loaded)
        measured: list[Cost] = []
        with counting_bar("prompt lengths", len(lengths)) as on_done:
            for tokens in lengths:
                ids = random_prompt(loaded.frozen, tokens, seed)
                measured += costs(loaded.frozen, weights, ids, budget_ratio, drafts, repeats)
                on_done(1)
        rows = [_rounded(each) for each in measured]
        file = write_report(Report(name, settings, rows, CAPTION), out)
    except EXPECTED as error:
        raise SystemExit(f"{error}") from error
    except KeyboardInterrupt:
        sys.stderr.write("stopped; no report was written\n")
        raise SystemExit(INTERRUPTED) from None
    _show(rows, file, json)


def random_prompt(frozen: FrozenModel, tokens: int, seed: int) -> torch.Tensor:
    """Ids [tokens] int64, drawn evenly from the model's words."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(frozen.config.vocab_size, (tokens,), generator=generator)
    return ids.to(frozen.embed.weight.device)


def _adapter(folder: Path | None, model: Path, loaded: LookaheadModel) -> tuple[AdapterWeights, str]:
    """With the sha256 of its tensors; times do not depend on whether an adapter is trained."""
    if folder is None:
        return new_adapter(loaded, AdapterConfig(), 0), "untrained"
    weights, sha256 = load_adapter(folder, model)
    return weights.to(device=loaded.device), sha256


def _rounded(cost: Cost) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(cost).items()}


def _show(rows: Sequence[dict[str, Any]], file: Path, json: bool) -> None:
    if json:
        typer.echo(json_format.dumps(rows))
        return
    table = Table(title=f"milliseconds, medians; {file}", title_justify="left")
    for column in ("tokens", "method", "prefill", "added", "of prefill", "of lookahead"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for row in rows:
        shares = (f"{100 * row['ratio_to_prefill']:.1f} %", f"{row['ratio_to_lookahead']:.1f} x")
        times = (f"{row['prefill_ms']:.0f}", f"{row['added_ms']:.0f}")
        table.add_row(str(row["prompt_tokens"]), row["method"], *times, *shares)
    Console().print(table)
