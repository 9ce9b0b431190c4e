"""Progress bars on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from scorer.training.loop import TrainingState
from scorer.training.report import headline
from scorer.training.run import OnStep
from scorer.training.settings import TrainingSettings
from scorer.training.validate import Retained


@contextmanager
def counting_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar of `total` pieces; what it yields is told how many were just done."""
    with _progress() as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def training_bar(settings: TrainingSettings, state: TrainingState) -> Iterator[OnStep]:
    """A bar of steps with loss, what lookahead rows retain in validation, and the time left."""
    with _progress() as progress:
        task = progress.add_task("training", total=settings.steps, completed=state.step)

        def on_step(state: TrainingState, rows: Sequence[Retained]) -> None:
            progress.update(task, completed=state.step, description=_text(state, rows, settings))

        yield on_step


def _text(state: TrainingState, rows: Sequence[Retained], settings: TrainingSettings) -> str:
    shares = headline(rows, settings)
    retained = f"  retained {shares['lookahead']:.3f} of {shares['oracle']:.3f}" if shares else ""
    return f"loss {state.metrics[-1].loss:.4f}{retained}"


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(file=sys.stderr))
