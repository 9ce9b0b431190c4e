"""How our command-line programs run."""

from collections.abc import Callable
from typing import Any

import typer


def run_command(function: Callable[..., Any]) -> None:
    """Parse the command line into the arguments of `function` and call it. A bug shows as a plain traceback."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    app()
