"""`lookaheadkv bench`: how fast a router answers, and what each way of keeping KV changes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from router.cli.remote import ApiKey, CaFile, Router, caller, open_channel
from scorer.reports import Report, write_report
from services.cli.bench.cases import Case, Plan, cases_of, work_of
from services.cli.bench.measuring import Sample, Server, measure
from services.cli.bench.summary import bench_table, plain, rows_of
from services.shared.cli.output import tell
from services.shared.cli.running import INTERRUPTED, REFUSED, refusals

CAPTION = (
    "Times are the client's. Every prompt is sent once under each case, one behind the other; ratios are medians over "
    "prompts, to the first case. Spreads are the tenth and ninetieth percentile."
)

Prompts = Annotated[int, typer.Option(min=1, help="Prompts, each of which is sent under every case.")]
AtOnce = Annotated[int, typer.Option(min=1, max=256, help="Requests that run at once.")]
Words = Annotated[str, typer.Option(help="Length of prompts in words, as 500 or 200-4000.")]
NewTokens = Annotated[int, typer.Option("--max-new-tokens", min=2, help="Length of each answer.")]
Budgets = Annotated[list[str] | None, typer.Option("--budget", help="2048, 20% or 0.2; several are compared.")]
Policies = Annotated[list[str] | None, typer.Option("--policy", help="full, window, fused, ...; several are compared.")]
Seed = Annotated[int, typer.Option(help="Of the prompts.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for each answer.")]
Out = Annotated[Path, typer.Option(help="Folder for the report.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def bench(
    prompts: Prompts = 20,
    concurrency: AtOnce = 4,
    words: Words = "500",
    max_new_tokens: NewTokens = 64,
    budget: Budgets = None,
    policy: Policies = None,
    seed: Seed = 1,
    timeout: Timeout = 300.0,
    out: Out = Path("build/reports"),
    router: Router = "127.0.0.1:50050",
    api_key: ApiKey = "",
    ca_file: CaFile = None,
    as_json: AsJson = False,
) -> None:
    """Send the same prompts under each policy and budget; Ctrl-C reports what was measured so far."""
    least, most = _range(words)
    plan, cases = Plan(prompts, least, most, max_new_tokens, seed), cases_of(policy or [], budget or [])
    samples: list[Sample] = []
    with refusals():
        server = Server(router, open_channel(router, ca_file), caller(api_key), timeout)
        stopped = _measured(server, plan, cases, concurrency, samples)
    _report(plan, cases, samples, concurrency, out, as_json)
    if stopped:
        raise typer.Exit(INTERRUPTED)


def _measured(server: Server, plan: Plan, cases: list[Case], at_once: int, samples: list[Sample]) -> bool:
    """Whether somebody had enough."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("answers", total=plan.prompts * len(cases))

        def seen(sample: Sample) -> None:
            samples.append(sample)
            progress.advance(task)

        try:
            measure(server, work_of(plan, cases), at_once, seen)
        except KeyboardInterrupt:
            return True
    return False


def _report(plan: Plan, cases: list[Case], samples: list[Sample], at_once: int, out: Path, as_json: bool) -> None:
    for error in sorted({sample.error for sample in samples if sample.error})[:5]:
        typer.echo(error, err=True)
    rows = rows_of(cases, samples)
    if not rows:
        typer.echo("no answer was measured", err=True)
        raise typer.Exit(REFUSED)
    settings = {"prompts": plan.prompts, "words": f"{plan.least_words}-{plan.most_words}", "concurrency": at_once}
    more = {"max_new_tokens": plan.new_tokens, "seed": plan.seed}
    report = write_report(Report("bench", settings | more, plain(rows), CAPTION), out)
    tell(plain(rows), as_json, lambda: bench_table(rows))
    typer.echo(f"report: {report}", err=True)


def _range(words: str) -> tuple[int, int]:
    least, _, most = words.partition("-")
    try:
        found = int(least), int(most or least)
    except ValueError:
        found = (0, 0)
    if not 0 < found[0] <= found[1]:
        raise typer.BadParameter(f"{words!r} is no length, as 500, and no range, as 200-4000", param_hint="--words")
    return found
