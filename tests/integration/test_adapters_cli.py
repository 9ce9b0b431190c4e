"""`lookaheadkv adapters` as a process, on a real store."""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import psutil

from scorer.adapters.folder import read_files
from tests.integration.registry_client import MANIFEST, SHIPPED
from tests.processes import ROOT, poll
from tests.redis_servers import RedisServer

NAME = f"{MANIFEST.model}/{MANIFEST.adapter}"
SECONDS = 60


def start(server: RedisServer, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "services.cli.main", "adapters", *map(str, args)]
    variables = os.environ | {"LOOKAHEADKV_REDIS_URL": server.url}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=pipe, stderr=pipe, text=True)


def cli(server: RedisServer, *args: object) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    process = start(server, *args)
    out, errors = process.communicate(timeout=SECONDS)
    return process.returncode, out, errors


def answer(server: RedisServer, *args: object) -> Any:
    code, out, errors = cli(server, *args, "--json")
    assert (code, errors) == (0, "")
    return json.loads(out)


def test_shipped_adapter_goes_through_its_life(redis_server, tmp_path):
    assert answer(redis_server, "publish", SHIPPED)["version"]["number"] == 1
    assert answer(redis_server, "publish", SHIPPED, "--next")["version"]["number"] == 2
    (listed,) = answer(redis_server, "list")
    assert (listed["adapter"], len(listed["versions"])) == (NAME, 2)
    assert answer(redis_server, "promote", NAME, 2)["version"] == 2
    assert answer(redis_server, "rollback", NAME)["version"] == 1
    answer(redis_server, "pull", NAME, tmp_path / "1")
    assert read_files(tmp_path / "1") == read_files(SHIPPED)
    assert cli(redis_server, "verify", tmp_path / "1")[0] == 0
    assert answer(redis_server, "verify", NAME, "--version", 2)["version"] == 2
    code, _, errors = cli(redis_server, "delete", NAME, 1)
    assert code == 1 and "default points at it" in errors
    answer(redis_server, "delete", NAME, 2)
    assert [info["number"] for info in answer(redis_server, "show", NAME)["versions"]] == [1]


def test_ctrl_c_is_code_130_and_the_same_command_publishes(redis_server):
    # so that the process surely is in the middle
    redis_server.pause()
    process = start(redis_server, "publish", SHIPPED)
    try:
        poll(lambda: connected(process.pid), SECONDS)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        redis_server.resume()
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert answer(redis_server, "publish", SHIPPED)["version"]["number"] == 1


def connected(pid: int) -> bool:
    return any(
        connection.status == psutil.CONN_ESTABLISHED for connection in psutil.Process(pid).net_connections("tcp")
    )
