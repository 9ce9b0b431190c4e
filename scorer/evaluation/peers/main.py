"""The command that evaluates kvpress' presses: from a model and prompts to a file of results."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer

from scorer.adapters.errors import AdapterError
from scorer.adapters.fingerprint import model_fingerprint, read_config
from scorer.evaluation.budgets import BadBudget, Budget
from scorer.evaluation.methods.base import Protected
from scorer.evaluation.peers.evaluate import PeerEvaluation
from scorer.evaluation.peers.measure import PeerMeasure
from scorer.evaluation.peers.presses import PRESSES, CannotPress, known, require_kvpress
from scorer.evaluation.results import BadResults, append_results, check_settings, read_results
from scorer.evaluation.samples import EvalSample, Tokenizer, digest, read_samples
from scorer.evaluation.settings import BUDGETS, BUDGETS_HELP
from scorer.training.data.sample import BadLine
from scorer.training.model_folder import CannotLoad, load_model, load_tokenizer, require_dtype
from scorer.training.progress import counting_bar
from scorer.training.responses import end_tokens

INTERRUPTED = 130
EXPECTED = (AdapterError, BadBudget, BadLine, BadResults, CannotLoad, CannotPress, OSError)


@dataclass(frozen=True)
class Source:
    """What a run reads."""

    model: Path
    data: Path
    longbench: bool
    dtype: str
    limit: int  # samples; 0 for all


@dataclass(frozen=True)
class Options:
    """How a run measures. Its names and budgets are checked at once."""

    presses: tuple[str, ...]
    budgets: tuple[str, ...]
    accuracy_budgets: tuple[str, ...]
    response_tokens: int
    protected: Protected

    def __post_init__(self) -> None:
        for label in (*self.budgets, *self.accuracy_budgets):
            Budget(label)


def main(
    model: Annotated[Path, typer.Option(help="folder of the model", exists=True, file_okay=False)],
    data: Annotated[Path, typer.Option(help="JSONL of samples, prompts or chats", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="JSONL of results; a run that was stopped goes on there", dir_okay=False)],
    longbench: Annotated[bool, typer.Option(help="the data are in LongBench's format")] = False,
    press: Annotated[list[str] | None, typer.Option(help=f"may be repeated: {', '.join(PRESSES)}")] = None,
    budget: Annotated[list[str] | None, typer.Option(help=BUDGETS_HELP)] = None,
    accuracy_budget: Annotated[
        list[str] | None, typer.Option(help="where answers are decoded and graded; `none` for nowhere")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16")] = "bfloat16",
    response_tokens: Annotated[int, typer.Option(min=1, help="of full KV's answer, to compare to")] = 32,
    sink_tokens: Annotated[int, typer.Option(min=0, help="of our methods: no budget is below theirs")] = 4,
    recent_tokens: Annotated[int, typer.Option(min=0, help="of our methods: no budget is below theirs")] = 32,
    limit: Annotated[int, typer.Option(min=0, help="only so many samples, from the first; 0 for all")] = 0,
) -> None:
    """Measures what kvpress' presses change, sample by sample, in the format of `python -m scorer.evaluation run`."""
    try:
        require_dtype(dtype)
        options = Options(
            presses=known(press or ()),
            budgets=tuple(dict.fromkeys(budget or BUDGETS)),
            accuracy_budgets=tuple(label for label in accuracy_budget or ["20%"] if label != "none"),
            response_tokens=response_tokens,
            protected=Protected(sink_tokens, recent_tokens),
        )
        require_kvpress()
        count = _run(Source(model, data, longbench, dtype, limit), options, out)
    except EXPECTED as error:
        raise SystemExit(f"{error}") from error
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; the same command goes on with what is in {out}\n")
        raise SystemExit(INTERRUPTED) from None
    typer.echo(f"{out}: {count} results")


def _run(source: Source, options: Options, out: Path) -> int:
    """From files to files: how many results there are now. Raises one of EXPECTED."""
    tokenizer = cast(Tokenizer, load_tokenizer(source.model))
    samples = read_samples(source.data, tokenizer, source.longbench)
    check_settings(out, _identity(source, options, samples))
    done = {result.key for result in read_results(out)} if out.exists() else set()
    evaluation = _evaluation(source, options, tokenizer)
    samples = samples[: source.limit or None]
    with counting_bar("samples", len(evaluation.open_samples(samples, done))) as on_done:
        for results in evaluation.run(samples, done):
            append_results(out, results)
            done |= {result.key for result in results}
            on_done(1)
    return len(done)


def _identity(source: Source, options: Options, samples: Sequence[EvalSample]) -> dict[str, Any]:
    """All that results of one file must share. Other presses and budgets may join later."""
    return {
        "model": source.model.resolve().name,
        "model_fingerprint": model_fingerprint(read_config(source.model)),
        "dtype": source.dtype,
        "data": source.data.name,
        "data_digest": digest(samples),
        "response_tokens": options.response_tokens,
        "sink_tokens": options.protected.sink_tokens,
        "recent_tokens": options.protected.recent_tokens,
        "packages": {name: version(name) for name in ("kvpress", "transformers", "torch")},
    }


def _evaluation(source: Source, options: Options, tokenizer: Tokenizer) -> PeerEvaluation:
    # needs kvpress
    from scorer.evaluation.peers.collect import press_sample

    frozen = load_model(source.model, source.dtype).frozen

    def text(ids: torch.Tensor) -> str:
        return tokenizer.decode(ids, skip_special_tokens=True)

    ends = end_tokens(frozen.hf_model)
    measure = PeerMeasure(frozen, options.response_tokens, options.accuracy_budgets, ends, text)
    return PeerEvaluation(options.presses, options.budgets, options.protected, press_sample, measure)


def run_command() -> None:
    """Reads the command line. A bug shows as a plain traceback."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
