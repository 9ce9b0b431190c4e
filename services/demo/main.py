"""`make demo`: every process on this machine; one long prompt with the whole KV cache, and a fifth by each policy."""

from typing import Annotated

import grpc
import typer
from rich.console import Console

from scorer.reports import write_report
from services.demo.client import NoAnswer
from services.demo.results import POLICIES, Plan, failures, to_report, to_table
from services.demo.run import run_policies
from services.local.cli import run_command
from services.local.interrupts import raise_on_interrupts
from services.local.model import ModelMissing, ensure_model
from services.local.process import ProcessFailed
from services.local.settings import LocalSettings
from services.local.stack import local_stack
from services.shared.settings import load_settings

INTERRUPTED = 130

Policies = Annotated[list[str] | None, typer.Option("--policy", help="Run this one; may be given more than once.")]
Budget = Annotated[int, typer.Option(min=1, help="KV tokens kept per layer and KV head, by all policies but full.")]
NewTokens = Annotated[int, typer.Option(min=2, help="Tokens generated, past the end of the answer too.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON; everything else goes to stderr.")]


def main(policy: Policies = None, budget: Budget = 512, new_tokens: NewTokens = 64, to_json: Json = False) -> None:
    """Serve the default model on this machine, and answer a question about a long text under each policy."""
    console = Console(stderr=to_json, highlight=False)
    plan = Plan(policy or POLICIES, budget, new_tokens)
    raise_on_interrupts()
    try:
        held = _run(plan, console, to_json)
    except KeyboardInterrupt:
        console.print("interrupted; everything is stopped")
        raise SystemExit(INTERRUPTED) from None
    except grpc.RpcError as error:
        console.print(f"{error.code().name}: {error.details()}", style="red")
        held = False
    except (ModelMissing, ProcessFailed, NoAnswer) as error:
        console.print(str(error), style="red", markup=False)
        held = False
    raise SystemExit(0 if held else 1)


def _run(plan: Plan, console: Console, to_json: bool) -> bool:
    """Whether every claim held. Leaves a report behind."""
    settings = load_settings(LocalSettings)
    model_path = ensure_model(settings.cache)
    with local_stack(model_path, settings, console) as stack:
        try:
            rows = run_policies(plan, stack, model_path, console)
        except grpc.RpcError:
            # a dead process says more than the call that it broke
            stack.check()
            raise
    report = to_report(rows, model_path.name, plan)
    file = write_report(report, settings.build_dir / "reports")
    console.print(to_table(rows, report.caption))
    if to_json:
        typer.echo(file.read_text(), nl=False)
    found = [sentence for row in rows for sentence in failures(row)]
    for sentence in found:
        console.print(f"FAILED {sentence}", style="red", markup=False)
    console.print(f"report: {file}")
    return not found


if __name__ == "__main__":
    run_command(main)
