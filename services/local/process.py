"""One server process with its log, in a process group of its own so that nothing of it stays behind."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.local.interrupts import interrupts_held

LOG_LINES = 15
LOG_COLUMNS = 200
PROBE_SECONDS = 2.0
# of Linux's prctl
PR_SET_PDEATHSIG = 1
NO_MEMORY = ", it was killed, often for lack of memory; stop other programs, or serve a smaller model"


class ProcessFailed(Exception):
    """A part of the stack died or did not get ready. The message says which and why, with the last lines of its log."""


@dataclass(frozen=True)
class ServerSpec:
    """How to start `python -m module`, and the service whose health says that it is ready."""

    name: str
    module: str
    service: str
    port: int
    variables: Mapping[str, str]

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"


class ServerProcess:
    """A running server, from `start` to `stop`. Its output goes to `log`."""

    def __init__(self, spec: ServerSpec, log_dir: Path) -> None:
        self.spec = spec
        self.log = log_dir / f"{spec.name}.log"
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns at once; the server is not ready yet. On Linux it also ends when the calling thread does."""
        environment = {"OMP_NUM_THREADS": "1", **os.environ, **self.spec.variables}
        # an interrupt between the start and the assignment would leave a process that nobody knows
        with self.log.open("wb") as log, interrupts_held():
            self._popen = subprocess.Popen(
                [sys.executable, "-m", self.spec.module],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def ready(self, channel: grpc.Channel) -> bool:
        """Whether the server's health says SERVING. Raises ProcessFailed when it never will."""
        self.check()
        errors = filter(None, map(_error_in, self._log_text().splitlines()))
        if error := next(errors, None):
            raise self.failed(f"logged an error: {error}")
        request = health_pb2.HealthCheckRequest(service=self.spec.service)
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=PROBE_SECONDS)
        except grpc.RpcError:
            return False
        serving: bool = answer.status == health_pb2.HealthCheckResponse.SERVING
        return serving

    def check(self) -> None:
        """Raise ProcessFailed when the server has ended."""
        code = self._popen.poll() if self._popen else None
        if code is not None:
            raise self.failed(f"ended with exit code {code}{NO_MEMORY if code == -signal.SIGKILL else ''}")

    def failed(self, what: str) -> ProcessFailed:
        """The error that says `what` happened to this server, with the last lines of its log."""
        lines = self._log_text().splitlines()[-LOG_LINES:] or ["(empty)"]
        shown = [f"  {line[:LOG_COLUMNS]}" for line in lines]
        return ProcessFailed("\n".join([f"{self.spec.name} {what}", f"last lines of {self.log}:", *shown]))

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the server, which ends its own children."""
        if self._popen and self._popen.poll() is None:
            self._popen.terminate()

    def stop(self, deadline: float) -> None:
        """Wait until `deadline` (of time.monotonic) for the server to end, then kill what is left of its group."""
        if self._popen is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(max(0.0, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def _log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _end_with_parent() -> None:
    """Runs in the new process: nobody is left to stop it when its parent is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _error_in(line: str) -> str:
    """What one JSON log line at level error says; empty for any other line."""
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(entry, dict) or entry.get("level") != "error":
        return ""
    causes = [f"{cause['exc_type']}: {cause['exc_value']}" for cause in entry.get("exception", [])]
    return ": ".join([entry["event"], *filter(None, [entry.get("reason")]), *causes[:1]])
