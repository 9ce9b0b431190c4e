"""What a check finds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class State(StrEnum):
    """`SKIPPED` says nothing about what was not asked for."""

    OK = "ok"
    WRONG = "wrong"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """`remedy` is what to do about what is wrong."""

    name: str
    state: State
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Subject:
    """What is looked at; what is empty is not."""

    model: Path | None = None
    adapter: Path | None = None
    redis_url: str = ""
    servers: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


Check = Callable[[Subject], Iterable[Finding]]


def ok(name: str, detail: str) -> Finding:
    """All is well."""
    return Finding(name, State.OK, detail)


def wrong(name: str, detail: str, remedy: str) -> Finding:
    """It is not, and this mends it."""
    return Finding(name, State.WRONG, detail, remedy)


def skipped(name: str, how: str) -> Finding:
    """Nobody asked; `how` to ask."""
    return Finding(name, State.SKIPPED, how)
