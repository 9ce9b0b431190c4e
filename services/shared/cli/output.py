"""What a command prints: a table for people, JSON for programs."""

import json
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

PIPE_COLUMNS = 250


def tell(value: Any, as_json: bool, for_people: Callable[[], Table | str]) -> None:
    """Print `value` as JSON, or what people read."""
    if as_json:
        typer.echo(json.dumps(value, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        # what reads it would not find a name that is folded
        console = Console(highlight=False, width=PIPE_COLUMNS)
    console.print(for_people(), soft_wrap=True)


def table_of(*columns: str) -> Table:
    """An empty one with these columns."""
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
