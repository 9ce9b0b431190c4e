"""`lookaheadkv doctor`: what may be wrong here, and what to do."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from services.cli.doctor.engine import engine
from services.cli.doctor.files import model
from services.cli.doctor.finding import Check, Finding, State, Subject, wrong
from services.cli.doctor.machine import disk, memory, ports, python
from services.cli.doctor.pins import pins
from services.cli.doctor.redis import redis
from services.cli.doctor.registry import adapter, registry
from services.cli.doctor.servers import servers
from services.shared.cli.output import table_of, tell
from services.shared.cli.running import REFUSED, refusals

# to add one: a function, and its name here
CHECKS: tuple[Check, ...] = (
    python,
    pins,
    memory,
    disk,
    ports,
    engine,
    model,
    adapter,
    redis,
    registry,
    servers,
)
MARKS = {State.OK: "[green]✓[/green]", State.WRONG: "[red]✗[/red]", State.SKIPPED: "–"}

RedisUrl = Annotated[str, typer.Option(envvar="LOOKAHEADKV_REDIS_URL", help="Redis of adapters, budgets and quotas.")]
Server = Annotated[
    list[str] | None, typer.Option(help="host:port of a process that runs; may be given more than once.")
]
Port = Annotated[list[int] | None, typer.Option(help="A port that a process is to have; may be given more than once.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def doctor(
    model_folder: Annotated[Path | None, typer.Option("--model", help="Folder of the model.")] = None,
    adapter_folder: Annotated[Path | None, typer.Option("--adapter", help="Folder of an adapter.")] = None,
    redis_url: RedisUrl = "",
    server: Server = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine and what is named; exit code 1 when something is wrong."""
    subject = Subject(model_folder, adapter_folder, redis_url, tuple(server or ()), tuple(port or ()))
    with refusals():
        findings = list(_findings(subject))
    tell([asdict(finding) for finding in findings], as_json, lambda: _table(findings))
    if any(finding.state is State.WRONG for finding in findings):
        raise typer.Exit(REFUSED)


def _findings(subject: Subject) -> Iterator[Finding]:
    for check in CHECKS:
        try:
            yield from check(subject)
        # whatever a check did not foresee is a finding, and the others still have their say
        except Exception as error:
            yield wrong(check.__name__, f"{type(error).__name__}: {error}", "report this as a bug")


def _table(findings: list[Finding]) -> Table:
    table = table_of("", "what", "found", "what to do")
    for finding in findings:
        # what is found may have brackets, which rich would take for styles
        table.add_row(MARKS[finding.state], *map(escape, (finding.name, finding.detail, finding.remedy)))
    return table
