"""`make bench-router`: SLO attainment, fairness and cost of the router before four fake runtimes, and simulated."""

from typing import Annotated

import grpc
import typer
from rich.console import Console

from scorer.reports import write_report
from services.bench.router.plan import PER_SECOND, SPEEDUP, TENANTS, Plan
from services.bench.router.results import misses, to_reports, to_table
from services.bench.router.run import run
from services.local.cli import run_command
from services.local.interrupts import raise_on_interrupts
from services.local.process import ProcessFailed
from services.local.settings import LocalSettings
from services.shared.settings import load_settings

INTERRUPTED = 130

Requests = Annotated[int, typer.Option(min=2, help="Requests of the trace, which come 14 a second, twice.")]
Seconds = Annotated[float, typer.Option(min=0.5, help="How long each of the other parts takes.")]
Seed = Annotated[int, typer.Option(help="Of all that is drawn.")]
Gate = Annotated[bool, typer.Option("--gate", help="End with code 1 when a target is missed.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON; everything else goes to stderr.")]


def main(
    requests: Requests = 2000, seconds: Seconds = 20.0, seed: Seed = 1, gate: Gate = False, to_json: Json = False
) -> None:
    """Send a trace through the router by SLO and by a fixed budget, flood it, and time it."""
    console = Console(stderr=to_json, highlight=False)
    raise_on_interrupts()
    try:
        found = _run(Plan(requests, seconds, seed), console, to_json)
    except KeyboardInterrupt:
        console.print("interrupted; everything is stopped")
        raise SystemExit(INTERRUPTED) from None
    except grpc.RpcError as error:
        raise SystemExit(f"{error.code().name}: {error.details()}") from error
    except ProcessFailed as error:
        raise SystemExit(str(error)) from error
    raise SystemExit(1 if gate and found else 0)


def _run(plan: Plan, console: Console, to_json: bool) -> list[str]:
    """The targets that were missed. Leaves the reports behind."""
    settings = load_settings(LocalSettings)
    results, budget_tokens = run(plan, settings, console)
    said = {
        "requests": plan.requests,
        "seed": plan.seed,
        "requests_per_second": PER_SECOND,
        "tenants": {one.name: f"TTFT {one.ttft_seconds:g} s, TPOT {1000 * one.tpot_seconds:g} ms" for one in TENANTS},
        "fixed_budget_tokens": budget_tokens,
        "engine_faster_than_measured": SPEEDUP,
        "engine": plan.profile.engine_args(),
    }
    report, by_tenant = to_reports(results, said)
    folder = settings.build_dir / "reports"
    write_report(by_tenant, folder)
    file = write_report(report, folder)
    console.print(to_table(results))
    if to_json:
        typer.echo(file.read_text(), nl=False)
    found = misses(results.row())
    for sentence in found:
        console.print(f"MISSED {sentence}", style="red", markup=False)
    console.print(f"report: {file}")
    return found


if __name__ == "__main__":
    run_command(main)
