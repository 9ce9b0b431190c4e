import json
import os
import signal
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "services.demo.main"]
FAKE = {"RUNTIME_BACKEND": "fake", "LOOKAHEADKV_ENGINE_ARGS": '{"tokens_per_second": 5}'}


def run_demo(*options: str, environment: dict[str, str]) -> tuple[int, str, str]:
    """Exit code, output and errors. A test that is cut short lets the demo stop its servers; `run` would kill it."""
    with subprocess.Popen(
        [*COMMAND, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            output, log = demo.communicate()
        finally:
            demo.terminate()
    return demo.returncode, output, log


def test_the_demo_frees_what_it_says_and_answers_right_with_and_without_eviction(tmp_path):
    environment = os.environ | {"LOOKAHEADKV_BUILD_DIR": str(tmp_path)}
    code, output, log = run_demo("--json", environment=environment)
    assert code == 0, log
    report = json.loads(output)
    assert report == json.loads((tmp_path / "reports/demo.json").read_text())
    full, *evicting = report["rows"]
    assert [row["served_policy"] for row in report["rows"]] == ["full", "window", "lookahead", "fused"]
    assert full["kept_tokens"] == full["prompt_tokens"]
    for row in evicting:
        assert row["prompt_tokens"] == full["prompt_tokens"]
        assert row["kept_tokens"] < 0.2 * row["prompt_tokens"]
        assert row["freed_slots"] == row["prompt_tokens"] - row["kept_tokens"]
    assert [bool(row["adapter"]) for row in report["rows"]] == [False, False, True, True]
    name = "models/SmolLM2-135M-Instruct/adapters/smollm2-135m-instruct/versions/1"
    assert [row["registry_version"] for row in report["rows"]] == ["", "", name, name]
    assert f"published {name}" in log and "smollm2-135m-instruct 1 is loaded from the registry" in log


def test_a_demo_whose_claims_do_not_hold_says_which_and_fails(tmp_path):
    environment = os.environ | FAKE | {"LOOKAHEADKV_BUILD_DIR": str(tmp_path)}
    code, output, _ = run_demo("--new-tokens", "4", environment=environment)
    assert code == 1
    assert "FAILED full: the answer does not contain" in output


@pytest.mark.parametrize("word", ["ready", "answering"])
def test_an_interrupted_demo_ends_with_130_and_no_traceback(tmp_path, word):
    environment = os.environ | FAKE | {"LOOKAHEADKV_BUILD_DIR": str(tmp_path), "FORCE_COLOR": "1"}
    with subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as demo:
        assert demo.stdout
        output = b""
        while word.encode() not in output:
            output += os.read(demo.stdout.fileno(), 4096) or pytest.fail(output.decode())
        demo.send_signal(signal.SIGINT)
        rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert b"everything is stopped" in rest
    assert b"Traceback" not in output + rest
