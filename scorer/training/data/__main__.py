"""python -m scorer.training.data: builds a file of samples and says what is in it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scorer.training.data.build import BuildPlan, Built, CannotBuild, build
from scorer.training.data.forms import ChatTokenizer
from scorer.training.data.report import as_json, as_table, summarise
from scorer.training.data.sample import Form, Split, write_samples
from scorer.training.data.sources import NoText, load_source, source_names
from scorer.training.interrupts import interrupts_wait

INTERRUPTED = 130


def main(
    out: Annotated[Path, typer.Option(help="the JSONL file to write; one that exists is replaced", dir_okay=False)],
    model: Annotated[
        Path, typer.Option(help="folder of the model whose tokenizer and chat template are used", exists=True)
    ],
    split: Annotated[str, typer.Option(help="train or held_out; they share neither families nor texts")] = "train",
    count: Annotated[int, typer.Option(help="samples in all, spread evenly over families and forms")] = 510,
    min_tokens: Annotated[int, typer.Option(help="shortest prompt")] = 256,
    max_tokens: Annotated[int, typer.Option(help="longest prompt")] = 1024,
    seed: Annotated[int, typer.Option(help="the same seed gives the same bytes")] = 0,
    form: Annotated[list[str] | None, typer.Option(help="templated, raw or cut; may be repeated")] = None,
    family: Annotated[list[str] | None, typer.Option(help="only this family; may be repeated")] = None,
    debian: Annotated[
        bool, typer.Option(help="also texts of installed Debian packages, which differ by machine")
    ] = False,
    json: Annotated[bool, typer.Option(help="print the summary as JSON")] = False,
) -> None:
    """Builds prompts for training or evaluation and writes them to a file, one JSON object a line."""
    try:
        forms = cast(tuple[Form, ...], tuple(form or ()))
        plan = BuildPlan(cast(Split, split), count, min_tokens, max_tokens, seed, forms, tuple(family or ()), debian)
        missing = _missing(plan)
        built = _write(plan, out, _tokenizer(model))
    except (CannotBuild, NoText, OSError) as error:
        raise SystemExit(f"{error}") from error
    except KeyboardInterrupt:
        sys.stderr.write(f"stopped; {out} is as it was before\n")
        raise SystemExit(INTERRUPTED) from None
    rows = summarise(built)
    if json:
        typer.echo(as_json(rows, str(out), missing))
    else:
        Console().print(as_table(rows, f"{len(built)} samples of {split} in {out}; lengths in tokens"))


def _missing(plan: BuildPlan) -> list[str]:
    """What the text sources lack on this machine; told on stderr too, because other bytes come of it."""
    lacking = []
    for name in source_names(plan.split, plan.optional_sources):
        lacking += [f"{name}: {title}" for title in load_source(name).missing]
    if lacking:
        sys.stderr.write(f"no text here from {'; '.join(lacking)}; samples differ from those of a full environment\n")
    return lacking


def _tokenizer(model: Path) -> ChatTokenizer:
    # seconds of imports; AutoTokenizer would import torch too
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(model)
    if not tokenizer.chat_template:
        raise CannotBuild(f"{model} has no chat template, so no prompt can be templated")
    return tokenizer


def _write(plan: BuildPlan, out: Path, tokenizer: ChatTokenizer) -> list[Built]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    built: list[Built] = []
    # raised anywhere, an interrupt would be lost in the few places below that ignore every exception
    with interrupts_wait() as stop, Progress(*columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task(f"building {plan.split}", total=plan.count)

        def samples() -> Iterator[Any]:
            for one in build(plan, tokenizer):
                if stop.asked:
                    raise KeyboardInterrupt
                built.append(one)
                progress.advance(task)
                yield one.sample

        write_samples(out, samples())
    return built


def run() -> None:
    """Reads the command line. A bug shows as a plain traceback."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()


if __name__ == "__main__":
    run()
