"""What `lookaheadkv serve` starts: every process on this machine, until Ctrl-C."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.local.cli import run_command
from services.local.interrupts import raise_on_interrupts
from services.local.memory import memory_problem
from services.local.model import ModelMissing, ensure_model
from services.local.model_folder import folder_problem, weights_bytes
from services.local.ports import port_problem
from services.local.process import ProcessFailed
from services.local.settings import LocalSettings
from services.local.stack import Stack, local_stack
from services.shared.settings import load_settings

CHECK_SECONDS = 1.0
DEFAULT_PORT = 50050

Model = Annotated[Path | None, typer.Option(help="Model folder in Hugging Face layout; the default model without it.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The router's port; 0 picks a free one.")]


def main(model: Model = None, port: Port = DEFAULT_PORT) -> None:
    """Serve a model on this machine, and print where the router listens."""
    console = Console(highlight=False)
    raise_on_interrupts()
    settings = load_settings(LocalSettings)
    try:
        _serve(_checked(model, port, settings), port, settings, console)
    except KeyboardInterrupt:
        console.print("everything is stopped")
    except (ModelMissing, ProcessFailed) as error:
        raise SystemExit(str(error)) from error


def _checked(model: Path | None, port: int, settings: LocalSettings) -> Path:
    """The model's folder, once nothing speaks against serving it. Ends the process with a sentence otherwise."""
    if port and (taken := port_problem(port)):
        raise SystemExit(f"{taken}; stop what listens there, or choose another one with --port")
    with_weights = os.environ.get("RUNTIME_BACKEND") != "fake"
    folder = model or ensure_model(settings.cache)
    problem = folder_problem(folder, with_weights)
    if not problem and with_weights:
        problem = memory_problem(weights_bytes(folder))
    if problem:
        raise SystemExit(problem)
    return folder


def _serve(model: Path, port: int, settings: LocalSettings, console: Console) -> None:
    with local_stack(model, settings, console, router_port=port) as stack:
        _tell(stack, console)
        while True:
            time.sleep(CHECK_SECONDS)
            stack.check()


def _tell(stack: Stack, console: Console) -> None:
    metrics = "\n         ".join(stack.metrics_urls.values())
    named = "" if stack.router == f"127.0.0.1:{DEFAULT_PORT}" else f" --router {stack.router}"
    for line in (
        f"router:  {stack.router}\nhttp:    {stack.http_url}\nruntime: {stack.runtime}\nscorer:  {stack.scorer}",
        f"metrics: {metrics}\nredis:   {stack.redis_url}\nlogs:    {stack.log_dir}",
        f"adapters: lookaheadkv adapters list --redis-url {stack.redis_url}",
        f"tenants:  lookaheadkv tenants list --router {stack.router}",
        f'first request: lookaheadkv generate "The sky is blue because" --max-new-tokens 16{named}',
        "Ctrl-C stops everything",
    ):
        console.print(line, soft_wrap=True)


if __name__ == "__main__":
    run_command(main)
