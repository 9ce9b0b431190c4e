"""`lookaheadkv serve`: from nothing to an answer, and back to nothing."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.integration.test_stack import FAKE, processes_logging_to
from tests.processes import ROOT, free_port

LOOKAHEADKV = [sys.executable, "-m", "services.cli.main"]


@pytest.fixture
def start(tiny_model, tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [*LOOKAHEADKV, "serve", *(arguments or ("--model", str(tiny_model), "--port", str(free_port())))]
        variables = os.environ | FAKE | {"LOOKAHEADKV_BUILD_DIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=ROOT, env=variables, text=True, stdout=pipe, stderr=pipe))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def until_ready(process: subprocess.Popen[str]) -> list[str]:
    """What it printed."""
    assert process.stdout
    lines: list[str] = []
    while not lines or "Ctrl-C stops" not in lines[-1]:
        line = process.stdout.readline()
        assert line, lines
        lines.append(line)
    return lines


def test_the_first_request_that_it_names_is_answered_and_a_second_ctrl_c_harms_nothing(start, tmp_path):
    process = start()
    lines = until_ready(process)
    (named,) = [line.partition(":")[2].split("#")[0] for line in lines if line.startswith("first request:")]
    program, *arguments = shlex.split(named)
    assert program == "lookaheadkv"
    done = subprocess.run([*LOOKAHEADKV, *arguments], cwd=ROOT, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0 and len(done.stdout.split()) == 16, done.stderr
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "") and "everything is stopped" in stdout
    assert processes_logging_to(tmp_path / "logs") == []


def test_ctrl_c_while_it_starts_is_clean(start, tmp_path):
    process = start()
    assert process.stdout and process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert processes_logging_to(tmp_path / "logs") == []


def test_a_port_in_use_is_one_sentence(start, tiny_model):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("--model", str(tiny_model), "--port", str(taken.getsockname()[1]))
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr.count("\n")) == (1, "", 1)
    assert "Address already in use" in stderr and "--port" in stderr


def test_a_folder_without_a_model_is_one_sentence(start, tmp_path):
    for folder, words in ((tmp_path / "none", "is no folder"), (tmp_path, "has no config.json, tokenizer.json")):
        process = start("--model", str(folder), "--port", "0")
        stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stdout, stderr.count("\n")) == (1, "", 1)
        assert words in stderr and "Hugging Face layout" in stderr
