"""`lookaheadkv tenants`: the commands by name."""

from collections.abc import Callable

import typer

from router.cli import files, tenants

COMMANDS: dict[str, Callable[..., None]] = {
    "get": tenants.get,
    "set": tenants.set_fields,
    "list": tenants.list_budgets,
    "delete": tenants.delete,
    "explain": tenants.explain,
    "import": files.import_file,
    "export": files.export_file,
}


def build_group() -> typer.Typer:
    """All of them."""
    group = typer.Typer(no_args_is_help=True, help="Budgets of tenants, through a router.")
    for name, function in COMMANDS.items():
        group.command(name)(function)
    return group
