"""`lookaheadkv`: the commands, and what they are built of."""

from collections.abc import Callable

import typer

from scorer.adapters.redis_store import open_redis_store
from scorer.cli import adapters
from services.shared.logs import configure_logs

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


def build_app() -> typer.Typer:
    """All commands. Called with `obj`, which opens a store; a bug shows as a plain traceback."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Tools for LookaheadKV.")
    group = typer.Typer(no_args_is_help=True, help="Adapters in a registry, and in folders.")
    for name, function in COMMANDS.items():
        group.command(name)(function)
    app.add_typer(group, name="adapters")
    # with one group only, its name would be left out
    app.callback()(_nothing)
    return app


def main() -> None:
    configure_logs("WARNING")
    build_app()(obj=open_redis_store)


def _nothing() -> None:
    """Tools for LookaheadKV."""


if __name__ == "__main__":
    main()
