"""`lookaheadkv adapters`: the commands by name."""

from collections.abc import Callable

import typer

from scorer.cli import adapters

COMMANDS: dict[str, Callable[..., None]] = {
    "publish": adapters.publish_folder,
    "list": adapters.list_adapters,
    "show": adapters.show,
    "promote": adapters.promote,
    "split": adapters.split,
    "rollback": adapters.rollback,
    "delete": adapters.delete,
    "pull": adapters.pull,
    "verify": adapters.verify,
}


def build_group() -> typer.Typer:
    """All of them. Called with `obj`, which opens a store."""
    group = typer.Typer(no_args_is_help=True, help="Adapters in a registry, and in folders.")
    for name, function in COMMANDS.items():
        group.command(name)(function)
    return group
