"""How a command runs: the store it talks to, its progress, and its exit code.

0 done · 1 refused, with one sentence on stderr · 2 wrong usage · 130 Ctrl-C
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from scorer.adapters.errors import AdapterError
from scorer.adapters.redis_options import RedisOptions
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import StoreError

REFUSED = 1
INTERRUPTED = 130
NO_URL = "is missing; name the store, e.g. redis://host:6379, or set LOOKAHEADKV_REDIS_URL"

T = TypeVar("T")
OpenStore = Callable[[RedisOptions], AbstractAsyncContextManager[AdapterStore]]


class Refused(Exception):
    """What was asked cannot be done; the sentence says why, and what can."""


@dataclass(frozen=True)
class Where:
    """The store that a command was told to use."""

    url: str
    ca_file: Path | None

    def options(self) -> RedisOptions:
        """Of these arguments. A wrong one is wrong usage."""
        if not self.url:
            raise typer.BadParameter(NO_URL, param_hint="--redis-url")
        try:
            return RedisOptions(self.url, ca_file=str(self.ca_file) if self.ca_file else None)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--redis-url") from error


def with_store(
    context: typer.Context, where: Where, action: Callable[[AdapterStore], Awaitable[T]], interrupted: str = "stopped"
) -> T:
    """What `action` answers. Ends the process with a sentence and a code when it fails."""
    open_store: OpenStore = context.obj
    options = where.options()

    async def work() -> T:
        async with open_store(options) as store:
            return await action(store)

    with refusals(interrupted):
        answer = asyncio.run(work())
    return answer


@contextmanager
def refusals(interrupted: str = "stopped") -> Iterator[None]:
    """What is expected to fail in this block ends the process with a sentence and a code."""
    try:
        yield
    except KeyboardInterrupt:
        leave(interrupted, INTERRUPTED)
    except (Refused, StoreError, AdapterError, ValueError, OSError) as error:
        leave(str(error), REFUSED)


def leave(sentence: str, code: int) -> NoReturn:
    """End the process."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


@contextmanager
def progress(what: str, console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar, on stderr unless told, that hears how many bytes of how many are done; nothing where nobody watches."""
    console = console or Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
