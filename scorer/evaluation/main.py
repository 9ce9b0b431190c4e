"""The commands: `run` measures samples, `report` makes tables and plots of them, `cost` times the methods."""

from __future__ import annotations

import typer

from scorer.evaluation.run_command import run


def run_command() -> None:
    """Reads the command line. A bug shows as a plain traceback."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
    app.callback()(lambda: None)
    app.command()(run)
    app()
