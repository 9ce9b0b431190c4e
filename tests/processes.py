"""Real server processes for tests: started on a free port, watched through their logs, never left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

ROOT = Path(__file__).parent.parent
START_SECONDS = 60.0
# of variables that a test sets, or nobody
PREFIXES = ("RUNTIME_", "SCORER_", "ROUTER_", "OTEL_")
# client and server both end a call at its deadline; on a busy machine the server's word may come first
AT_DEADLINE = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


class ServerProcess:
    """`python -m module` with these environment variables. Its log lines are JSON on stderr."""

    def __init__(self, module: str, variables: dict[str, str]) -> None:
        self.events: list[dict[str, Any]] = []
        self.other_lines: list[str] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=kept | variables,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def target(self) -> str:
        """host:port, once the process listens."""
        event = self.wait_for("listening")
        return f"{event['host']}:{event['port']}"

    def wait_for(self, event: str, seconds: float = START_SECONDS, **fields: Any) -> dict[str, Any]:
        """The first log line with this event and these fields."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event, **fields}
            return next((line for line in list(self.events) if wanted.items() <= line.items()), None)

        return poll(found, seconds, lambda: f"no {event!r} {fields}; log: {self.events} {self.other_lines}")

    def terminate(self) -> None:
        """SIGTERM, as Kubernetes sends it."""
        self.popen.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 20.0) -> int:
        """The exit code, once it has ended."""
        code = self.popen.wait(seconds)
        self._reader.join(seconds)
        return code

    def kill(self) -> None:
        """End it and its children at once. Safe to call twice."""
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait()

    def _read(self) -> None:
        assert self.popen.stderr
        with self.popen.stderr as lines:
            for line in lines:
                try:
                    self.events.append(json.loads(line))
                except ValueError:
                    self.other_lines.append(line)


def poll(found: Callable[[], Any], seconds: float, message: Callable[[], str] = lambda: "waited in vain") -> Any:
    """What `found` returns, as soon as that is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.01)
    raise AssertionError(message())


def free_port() -> int:
    """A port that is free now; only for a server that must come back on the same one."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port
