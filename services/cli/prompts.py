"""What a command takes for a prompt, and for a budget."""

import sys
from pathlib import Path

import typer

STDIN = Path("-")
# what goes over the wire
MOST_TOKENS = 2**31 - 1


def read_prompt(prompt: str | None, file: Path | None) -> str:
    """The text of the argument, of a file, or of stdin for `-`. Raises BadParameter, ValueError and OSError."""
    if (prompt is None) == (file is None):
        raise typer.BadParameter("name a prompt or --file, one of both", param_hint="PROMPT")
    if file is None:
        text = sys.stdin.read() if prompt == "-" else prompt or ""
    else:
        text = _decoded(sys.stdin.buffer.read() if file == STDIN else file.read_bytes(), str(file))
    if not text:
        raise ValueError("the prompt is empty; send at least one character")
    return text


def parse_budget(budget: str) -> tuple[int | None, float | None]:
    """Tokens or a ratio: `2048`, `20%` or `0.2`. Both are None for an empty one. Raises BadParameter."""
    if not budget:
        return None, None
    try:
        if budget.endswith("%"):
            return None, float(budget[:-1]) / 100
        if "." in budget:
            return None, float(budget)
        tokens = int(budget)
    except ValueError:
        hint = f"{budget!r} is neither tokens, as 2048, nor a share of the prompt, as 20% or 0.2"
        raise typer.BadParameter(hint, param_hint="--budget") from None
    if abs(tokens) > MOST_TOKENS:
        raise typer.BadParameter(f"{budget} tokens; ask for at most {MOST_TOKENS}", param_hint="--budget")
    return tokens, None


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        why = f"{error.reason} at byte {error.start}"
        raise ValueError(f"{name}: is no UTF-8 text ({why}); convert it first") from error
