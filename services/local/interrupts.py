"""Ctrl-C and its kin, put off while something must not be torn in half."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def raise_on_interrupts() -> None:
    """From now on the first SIGINT, SIGTERM or SIGHUP raises KeyboardInterrupt, so that clean-up runs.

    Those behind it change nothing: a second Ctrl-C would tear the clean-up in half.
    """
    for number in INTERRUPTS:
        signal.signal(number, _raise_once)


def _raise_once(number: int, frame: FrameType | None) -> None:
    for other in INTERRUPTS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Interrupts that come inside this block take effect at its end. Outside the main thread none can come."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.signal(number, hold) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if held:
        signal.raise_signal(held[0])
