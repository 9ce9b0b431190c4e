"""`lookaheadkv`: all groups of commands."""

import typer

from router.cli.group import build_group as tenants_group
from scorer.adapters.redis_store import open_redis_store
from scorer.cli.group import build_group as adapters_group
from services.cli.bench.command import bench
from services.cli.doctor.command import doctor
from services.cli.generate import generate
from services.cli.serve import serve
from services.shared.logs import configure_logs


def build_app() -> typer.Typer:
    """All commands. Called with `obj`, which opens a store of adapters; a bug shows as a plain traceback."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Tools for LookaheadKV.")
    app.add_typer(adapters_group(), name="adapters")
    app.add_typer(tenants_group(), name="tenants")
    app.command()(generate)
    app.command()(serve)
    app.command()(bench)
    app.command()(doctor)
    return app


def main() -> None:
    configure_logs("WARNING")
    build_app()(obj=open_redis_store)


if __name__ == "__main__":
    main()
