"""Log lines written by a thread of their own, so that whoever reads them slowly holds up nobody."""

import atexit
import queue
import threading
from contextlib import suppress
from typing import TextIO

# what may wait; a reader that has stopped costs lines beyond that, and no memory
MAX_LINES = 10_000
# lines that are still here when the process ends may take so long
CLOSE_SECONDS = 1.0


class LineWriter:
    """What structlog hands finished lines to; `stream` gets them a little later, in the same order."""

    def __init__(self, stream: TextIO, max_lines: int = MAX_LINES) -> None:
        self._stream = stream
        self._max_lines = max_lines
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def msg(self, line: str) -> None:
        """Never waits. A line that has no place is dropped, which the next one that has says."""
        if self._lines.qsize() >= self._max_lines:
            self._dropped += 1
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._lines.put(f'{{"event": "log lines dropped", "level": "warning", "count": {dropped}}}')
        self._lines.put(line)

    # by the names of structlog's levels
    debug = info = warning = warn = error = exception = critical = fatal = log = msg

    def close(self) -> None:
        """Wait for what is still to be written, for CLOSE_SECONDS at most. Safe to call twice."""
        self._lines.put(None)
        self._thread.join(CLOSE_SECONDS)

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            # nobody is left to tell when nobody reads
            with suppress(OSError):
                self._stream.write(f"{line}\n")
                self._stream.flush()
