"""A short soak with the fake engine: the whole command, against real processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.processes import poll

COMMAND = [sys.executable, "-m", "services.soak.main", "--backend", "fake", "--large-mib", "2"]
KEPT, BROKEN = 0, 1


def start(model: Path, build_dir: Path, *options: str) -> subprocess.Popen[str]:
    environment = os.environ | {"LOOKAHEADKV_BUILD_DIR": str(build_dir)}
    command = [*COMMAND, "--model", str(model), *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_soak_finds_no_failure_no_wrong_version_and_no_leak(tiny_model, tmp_path):
    with start(tiny_model, tmp_path, "--moves", "20", "--restarts", "2", "--json") as soak:
        try:
            output, log = soak.communicate()
        finally:
            soak.terminate()
    # how long things took is for a quiet machine to judge
    assert soak.returncode in (KEPT, BROKEN) and output, log
    report = json.loads(output)
    assert report == json.loads((tmp_path / "reports/registry.json").read_text())
    (row,) = report["rows"]
    assert [row["failed"], row["wrong_version"], row["leaked_keys"]] == [0, 0, 0], log
    assert (row["alias_moves"], row["restarts"]) == (20, 2)
    assert row["requests"] > 20 and row["versions_seen"] > 2 and row["large_mib"] >= 2
    assert row["converge_s_max"] > 0 and row["redis_publish_p99_ms"] > 0
    assert (report["settings"]["model"], report["settings"]["backend"]) == ("tiny", "fake")


def test_interrupted_soak_ends_with_130_and_leaves_nothing(tiny_model, tmp_path):
    with start(tiny_model, tmp_path, "--moves", "1000", "--restarts", "0") as soak:
        runtime = tmp_path / "logs/runtime.log"
        # interrupted while it soaks, not while it starts
        poll(lambda: runtime.exists() and runtime.read_text().count('"request"') > 50, 60)
        soak.send_signal(signal.SIGINT)
        output, log = soak.communicate(timeout=60)
    assert soak.returncode == 130, log
    assert "everything is stopped" in output and "Traceback" not in output + log
    assert not (tmp_path / "reports").exists()
    assert not [line for line in _processes() if str(tmp_path) in line]


def _processes() -> list[str]:
    """What the environments of this machine's processes say."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process / "environ").read_text(errors="replace"))
        except OSError:
            continue
    return found
