"""How a command on adapters runs: the store it talks to, and its progress."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from scorer.adapters.errors import AdapterError
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import StoreError
from services.shared.cli.running import refusals as shared_refusals
from services.shared.redis.options import RedisOptions

NO_URL = "is missing; name the store, e.g. redis://host:6379, or set LOOKAHEADKV_REDIS_URL"

T = TypeVar("T")
OpenStore = Callable[[RedisOptions], AbstractAsyncContextManager[AdapterStore]]


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


def refusals(interrupted: str = "stopped") -> AbstractContextManager[None]:
    """What is expected to fail in this block ends the process with a sentence and a code."""
    return shared_refusals(StoreError, AdapterError, interrupted=interrupted)


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
