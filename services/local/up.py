"""`make up`: every process on this machine, until Ctrl-C."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.local.cli import run_command
from services.local.interrupts import raise_on_interrupts
from services.local.model import ModelMissing, ensure_model
from services.local.process import ProcessFailed
from services.local.settings import LocalSettings
from services.local.stack import local_stack
from services.shared.settings import load_settings

CHECK_SECONDS = 1.0

Model = Annotated[Path | None, typer.Option(help="Model folder in Hugging Face layout; the default model without it.")]


def main(model: Model = None) -> None:
    """Serve a model on this machine, and print where the router listens."""
    console = Console(highlight=False)
    raise_on_interrupts()
    settings = load_settings(LocalSettings)
    try:
        with local_stack(model or ensure_model(settings.cache), settings, console) as stack:
            console.print(
                f"router:  {stack.router}\nhttp:    {stack.http_url}\nruntime: {stack.runtime}\nscorer:  {stack.scorer}"
            )
            metrics = "\n         ".join(stack.metrics_urls.values())
            console.print(f"metrics: {metrics}\nredis:   {stack.redis_url}\nlogs:    {stack.log_dir}", soft_wrap=True)
            console.print(f"adapters: lookaheadkv adapters list --redis-url {stack.redis_url}", soft_wrap=True)
            console.print(f"tenants:  lookaheadkv tenants list --router {stack.router}", soft_wrap=True)
            console.print("Ctrl-C stops everything")
            while True:
                time.sleep(CHECK_SECONDS)
                stack.check()
    except KeyboardInterrupt:
        console.print("everything is stopped")
    except (ModelMissing, ProcessFailed) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    run_command(main)
