"""The commands: `run` measures samples, `report` and `ablation` make tables and plots, `cost` times the methods."""

from __future__ import annotations

import typer

from scorer.evaluation.ablation_command import ablation
from scorer.evaluation.cost_command import cost
from scorer.evaluation.report_command import report
from scorer.evaluation.run_command import run


def run_command() -> None:
    """Reads the command line. A bug shows as a plain traceback."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
    app.command()(run)
    app.command()(report)
    app.command()(ablation)
    app.command()(cost)
    app()
