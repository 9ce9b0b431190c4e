"""Ctrl-C that waits for the step under way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether an interrupt came."""

    asked = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def interrupts_wait() -> Iterator[Stop]:
    """In this block a first interrupt is only noted, a second raises KeyboardInterrupt. For the main thread."""
    stop = Stop()
    before = {number: signal.signal(number, stop._ask) for number in INTERRUPTS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
