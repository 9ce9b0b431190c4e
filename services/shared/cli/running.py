"""How a command ends.

0 done · 1 refused, with one sentence on stderr · 2 wrong usage · 130 Ctrl-C
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

REFUSED = 1
INTERRUPTED = 130


class Refused(Exception):
    """What was asked cannot be done; the sentence says why, and what can."""


ALWAYS: tuple[type[Exception], ...] = (Refused, ValueError, OSError)


@contextmanager
def refusals(*expected: type[Exception], interrupted: str = "stopped") -> Iterator[None]:
    """What is expected to fail in this block ends the process with a sentence and a code."""
    try:
        yield
    except KeyboardInterrupt:
        leave(interrupted, INTERRUPTED)
    except expected + ALWAYS as error:
        leave(str(error), REFUSED)


def leave(sentence: str, code: int) -> NoReturn:
    """End the process."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)
