"""Waiting for all that a stack needs, with a line for each part."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.local.process import ServerProcess

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Step:
    """Something that comes true by itself: words for meanwhile and afterwards, and whom to blame when it is late."""

    doing: str
    done: str
    late: str
    process: ServerProcess
    holds: Callable[[], bool]


def wait_for(steps: Sequence[Step], seconds: float, console: Console) -> None:
    """Return when all steps hold. Raises ProcessFailed when one does not in time, and what `holds` raises."""
    deadline = time.monotonic() + seconds
    columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        rows = [progress.add_task(step.doing, total=1) for step in steps]
        waiting = dict(zip(rows, steps, strict=True))
        while waiting:
            for row, step in list(waiting.items()):
                if step.holds():
                    progress.update(row, completed=1, description=step.done)
                    del waiting[row]
            if waiting and time.monotonic() > deadline:
                late = next(iter(waiting.values()))
                raise late.process.failed(f"{late.late} in {seconds:g} s")
            time.sleep(POLL_SECONDS)
