"""`python -m scorer.evaluation run`: from a model, an adapter and prompts to a file of results."""

from __future__ import annotations

import json as json_format
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, cast

import torch
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from scorer.adapters.config import FusionConfig
from scorer.adapters.errors import AdapterError
from scorer.adapters.fingerprint import model_fingerprint, read_config
from scorer.adapters.shipped import find_shipped
from scorer.adapters.weights import AdapterWeights
from scorer.evaluation.accuracy import Grader
from scorer.evaluation.budgets import BadBudget
from scorer.evaluation.examine import Examiner
from scorer.evaluation.inputs import CannotEvaluate, load_adapter, load_drafter
from scorer.evaluation.measure import Measure
from scorer.evaluation.methods import DEFAULT, METHODS, WITH_ADAPTER, NotPossible, Setting
from scorer.evaluation.methods.base import Protected
from scorer.evaluation.results import BadResults, Result, append_results, check_settings, read_results
from scorer.evaluation.run import Evaluation
from scorer.evaluation.samples import EvalSample, Tokenizer, digest, read_samples
from scorer.evaluation.settings import BUDGETS, BUDGETS_HELP, EvalSettings
from scorer.training.data.sample import BadLine
from scorer.training.model_folder import CannotLoad, load_model, load_tokenizer, require_dtype
from scorer.training.progress import counting_bar
from scorer.training.responses import end_tokens
from scorer.training.settings import problems

INTERRUPTED = 130
# metrics, and what they are called where there is little room
SHOWN = {
    "retained_evictable": "retained",
    "nll": "nll",
    "nll_replayed": "replayed",
    "kl": "kl",
    "agreement": "agree",
    "accuracy": "right",
}
EXPECTED = (AdapterError, BadBudget, BadLine, BadResults, CannotEvaluate, CannotLoad, NotPossible, OSError)


@dataclass(frozen=True)
class Source:
    """What a run reads."""

    model: Path
    data: Path
    longbench: bool
    adapter: Path | None
    drafter: Path | None
    dtype: str
    limit: int  # samples; 0 for all
    shard: slice  # of the samples, for one of several processes


def run(
    model: Annotated[Path, typer.Option(help="folder of the model", exists=True, file_okay=False)],
    data: Annotated[Path, typer.Option(help="JSONL of samples, prompts or chats", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="JSONL of results; a run that was stopped goes on there", dir_okay=False)],
    adapter: Annotated[
        Path | None, typer.Option(help="folder of the adapter; without one the shipped one, if any")
    ] = None,
    drafter: Annotated[
        Path | None, typer.Option(help="folder of a smaller model with the same tokenizer, for `speckv`", exists=True)
    ] = None,
    longbench: Annotated[bool, typer.Option(help="the data are in LongBench's format")] = False,
    method: Annotated[list[str] | None, typer.Option(help=f"may be repeated: {', '.join(METHODS)}")] = None,
    budget: Annotated[list[str] | None, typer.Option(help=BUDGETS_HELP)] = None,
    accuracy_budget: Annotated[
        list[str] | None, typer.Option(help="where answers are decoded and graded; `none` for nowhere")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16")] = "bfloat16",
    response_tokens: Annotated[int, typer.Option(help="of full KV's answer, to compare to")] = 32,
    draft_tokens: Annotated[int, typer.Option(help="of LAQ; its authors have 8")] = 8,
    sink_tokens: Annotated[int, typer.Option(help="first tokens, always kept")] = 4,
    recent_tokens: Annotated[int, typer.Option(help="last tokens, always kept")] = 32,
    seed: Annotated[int, typer.Option(help="of the random method")] = 0,
    shard: Annotated[
        str, typer.Option(help="like 0/2: the first of two processes, each with a file of its own")
    ] = "0/1",
    limit: Annotated[int, typer.Option(min=0, help="only so many samples, from the first; 0 for all")] = 0,
    json: Annotated[bool, typer.Option(help="print the means as JSON")] = False,
) -> None:
    """Measures what each method's eviction changes, sample by sample."""
    try:
        require_dtype(dtype)
        adapter = adapter or find_shipped(model_fingerprint(read_config(model)))
        settings = EvalSettings(
            methods=tuple(method or [name for name in DEFAULT if adapter or name not in WITH_ADAPTER]),
            budgets=tuple(budget or BUDGETS),
            accuracy_budgets=tuple(label for label in accuracy_budget or ["20%"] if label != "none"),
            response_tokens=response_tokens,
            draft_tokens=draft_tokens,
            sink_tokens=sink_tokens,
            recent_tokens=recent_tokens,
            seed=seed,
        )
        source = Source(model, data, longbench, adapter, drafter, dtype, limit, _shard(shard))
        results = _run(source, settings, out)
    except ValidationError as error:
        raise SystemExit(problems(error)) from error
    except EXPECTED as error:
        raise SystemExit(f"{error}") from error
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; the same command goes on with what is in {out}\n")
        raise SystemExit(INTERRUPTED) from None
    _show(results, json)


def _run(source: Source, settings: EvalSettings, out: Path) -> list[Result]:
    """From files to files. Raises one of EXPECTED."""
    tokenizer = cast(Tokenizer, load_tokenizer(source.model))
    samples = read_samples(source.data, tokenizer, source.longbench)
    adapter, sha256 = None, ""
    if source.adapter is not None:
        adapter, sha256 = load_adapter(source.adapter, source.model)
    check_settings(out, _identity(source, settings, samples, sha256))
    results = read_results(out) if out.exists() else []
    evaluation = _evaluation(source, settings, adapter, tokenizer)
    done = {result.key for result in results}
    mine = samples[: source.limit or None][source.shard]
    with counting_bar("samples", len(evaluation.open_samples(mine, done))) as on_done:
        for chunk in evaluation.run(mine, done):
            append_results(out, chunk)
            results += chunk
            on_done(len({result.sample for result in chunk}))
    return results


def _shard(text: str) -> slice:
    """Every n-th sample from the i-th on, of "i/n". Raises CannotEvaluate."""
    first, _, count = text.partition("/")
    if not (first.isdecimal() and count.isdecimal() and int(first) < int(count)):
        raise CannotEvaluate(f"shard: {text!r} must be like 0/2, the first number below the second")
    return slice(int(first), None, int(count))


def _identity(source: Source, settings: EvalSettings, samples: Sequence[EvalSample], sha256: str) -> dict[str, Any]:
    """All that results of one file must share."""
    return {
        "model": source.model.resolve().name,
        "model_fingerprint": model_fingerprint(read_config(source.model)),
        "dtype": source.dtype,
        "adapter_sha256": sha256,
        "drafter": source.drafter.resolve().name if source.drafter else "",
        "data": source.data.name,
        "data_digest": digest(samples),
        # other methods and budgets may join later
        **settings.model_dump(exclude={"methods", "budgets", "accuracy_budgets"}),
    }


def _evaluation(
    source: Source, settings: EvalSettings, adapter: AdapterWeights | None, tokenizer: Tokenizer
) -> Evaluation:
    model = load_model(source.model, source.dtype)
    protected = Protected(settings.sink_tokens, settings.recent_tokens)
    window = (adapter.config.fusion if adapter else FusionConfig()).window_tokens
    ends = end_tokens(model.frozen.hf_model)
    setting = Setting(
        model=model,
        adapter=adapter,
        drafter=load_drafter(source.drafter, model, source.dtype) if source.drafter else None,
        protected=protected,
        window_tokens=window,
        laq_tokens=settings.draft_tokens,
        answer_tokens=settings.response_tokens,
        seed=settings.seed,
        ends=ends,
    )

    def text(ids: torch.Tensor) -> str:
        return tokenizer.decode(ids, skip_special_tokens=True)

    return Evaluation(
        examiner=Examiner(model, adapter, window, settings.response_tokens),
        methods={name: METHODS[name](setting) for name in settings.methods},
        budgets=settings.budgets,
        measure=Measure(model.frozen, protected, settings.response_tokens),
        grader=Grader(model.frozen, settings.accuracy_budgets, ends, text),
    )


def _show(results: Sequence[Result], json: bool) -> None:
    """Means over all samples, which `report` does better."""
    rows = defaultdict(list)
    for result in results:
        rows[result.budget, result.method].append(result)
    table = Table(title="means over all samples; `report` makes tables by family", title_justify="left")
    for name in ("budget", "method"):
        table.add_column(name, no_wrap=True)
    for name in ("n", *SHOWN.values()):
        table.add_column(name, justify="right")
    means = []
    for (label, method), cell in sorted(rows.items()):
        figures = {name: _mean([getattr(result, name) for result in cell]) for name in SHOWN}
        means.append({"budget": label, "method": method, "n": len(cell), **figures})
        cells = ["-" if value is None else f"{value:.3f}" for value in figures.values()]
        table.add_row(label, method, str(len(cell)), *cells)
    if json:
        typer.echo(json_format.dumps(means))
    else:
        Console().print(table)


def _mean(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return fmean(measured) if measured else None
