"""`lookaheadkv bench` against a router."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.processes import ROOT, ServerProcess, free_port, poll

COMMAND = [sys.executable, "-m", "services.cli.main", "bench", "--words", "300", "--max-new-tokens", "8"]


@pytest.fixture
def router(start_runtime, start_router) -> ServerProcess:
    started: ServerProcess = start_router(start_runtime(tokens_per_second=200).target)
    started.wait_for("runtime in")
    return started


def test_cases_are_compared_on_the_same_prompts(router, tmp_path):
    cases = ["--policy", "full", "--policy", "window", "--budget", "100"]
    command = [*COMMAND, *cases, "--prompts", "4", "--router", router.target, "--out", str(tmp_path), "--json"]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    full, window = json.loads(done.stdout)
    assert (full["case"], full["answers"], full["ttft_ratio"]) == ("full 100", 4, 1)
    assert (window["case"], window["failures"]) == ("window 100", 0)
    assert 0.3 < window["kept_ratio"] < 0.35 and window["tpot_ms_p50"] > 0
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["rows"] == [full, window] and report["settings"]["words"] == "300-300"
    assert "report: " in done.stderr


def test_ctrl_c_reports_what_was_measured(router, tmp_path):
    command = [*COMMAND, "--prompts", "1000", "--router", router.target, "--out", str(tmp_path)]
    running = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    poll(lambda: sum(line["event"] == "request" for line in router.events) > 10, 60)
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=60)
    assert (running.returncode, "Traceback" in stderr) == (130, False), stderr
    assert "default" in stdout and (tmp_path / "bench.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--words", "many"], 2, "is no length"),
        (["--budget", "much"], 2, "neither tokens"),
        (["--prompts", "2"], 1, "nothing answers at"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, code, sentence, tmp_path):
    target = f"127.0.0.1:{free_port()}"
    command = [*COMMAND, *arguments, "--router", target, "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, env=os.environ | {"COLUMNS": "300"})
    assert done.returncode == code
    assert sentence in done.stderr and "Traceback" not in done.stderr
