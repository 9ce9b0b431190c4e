"""`lookaheadkv serve`: everything on this machine, until Ctrl-C."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path | None, typer.Option(help="Model folder in Hugging Face layout; the default model without it.")]


def serve(model: Model = None) -> None:
    """Start a registry, a scorer, a runtime and a router on this machine, and print where they listen."""
    # a process of its own, since it needs torch, which this command does without
    more = ["--model", str(model)] if model else []
    os.execv(sys.executable, [sys.executable, "-m", "services.local.up", *more])
