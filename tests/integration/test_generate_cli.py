"""`lookaheadkv generate` as people and as pipes use it."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.integration.clients import prompt
from tests.processes import ROOT, ServerProcess, free_port

COMMAND = [sys.executable, "-m", "services.cli.main", "generate"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def router(start_runtime, start_router) -> ServerProcess:
    started: ServerProcess = start_router(start_runtime(tokens_per_second=50).target)
    started.wait_for("runtime in")
    return started


@pytest.fixture
def run(router) -> Run:
    def run(*arguments: str, stdin: str | None = None, target: str = router.target) -> subprocess.CompletedProcess[str]:
        variables = os.environ | {"LOOKAHEADKV_ROUTER": target}
        return subprocess.run(
            [*COMMAND, *arguments], cwd=ROOT, env=variables, input=stdin, text=True, capture_output=True
        )

    return run


def test_the_answer_goes_to_stdout_and_the_report_to_stderr(run):
    done = run(prompt(300), "--budget", "100", "--max-new-tokens", "5", "--temperature", "0")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 5 and done.stdout.endswith("\n")
    for words in ("window", "100 tokens (33.3%), 200 freed", "request_hint", "5 tokens, length"):
        assert words in done.stderr


def test_json_is_all_that_is_on_stdout(run, tmp_path):
    (tmp_path / "prompt").write_text(prompt(300))
    done = run("--file", str(tmp_path / "prompt"), "--budget", "20%", "--max-new-tokens", "3", "--json")
    answer = json.loads(done.stdout)
    assert (len(answer["text"].split()), answer["kv"]["kept_tokens"], done.stderr) == (3, 64, "")
    assert answer["decision"]["rule"] == "floor"


def test_a_prompt_comes_by_a_pipe_and_the_answer_may_be_cut_by_one(run, router):
    assert run("-", "--max-new-tokens", "2", stdin=prompt(20)).returncode == 0
    shell = f"{' '.join(COMMAND)} '{prompt(20)}' --max-new-tokens 400 --router {router.target} | head -c 1"
    began = time.monotonic()
    cut = subprocess.run(["bash", "-c", f"set -o pipefail; {shell}"], cwd=ROOT, text=True, capture_output=True)
    assert (cut.returncode, len(cut.stdout)) == (0, 1)
    # the whole answer would take eight seconds of the engine alone
    assert time.monotonic() - began < 30 and "Traceback" not in cut.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["text", "--policy", "magic"], "NOT_FOUND"),
        (["text", "--temperature", "-1"], "sampling.temperature"),
        (["text", "--max-new-tokens", "900000"], "above the context"),
        (["text", "--timeout", "0.000001"], "DEADLINE_EXCEEDED"),
        (["--file", "/no/such/file"], "No such file"),
        ([""], "the prompt is empty"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run, arguments, sentence):
    done = run(*arguments)
    assert done.returncode == 1
    assert sentence in done.stderr and "Traceback" not in done.stderr and done.stdout == ""


def test_wrong_usage_has_a_code_of_its_own(run):
    assert [run(*arguments).returncode for arguments in ([], ["text", "--budget", "much"])] == [2, 2]


def test_a_server_that_is_not_there_and_one_that_speaks_http_are_told_apart(run, router):
    nobody = run("text", target=f"127.0.0.1:{free_port()}")
    assert nobody.returncode == 1 and "nothing answers at" in nobody.stderr and "lookaheadkv serve" in nobody.stderr
    metrics = router.wait_for("metrics")["port"]
    other = run("text", "--timeout", "10", target=f"127.0.0.1:{metrics}")
    assert other.returncode == 1 and "Traceback" not in other.stderr


def test_ctrl_c_cancels_the_request(router):
    command = [*COMMAND, prompt(20), "--max-new-tokens", "2000", "--router", router.target]
    running = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout and running.stdout.read(1)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=30)
    assert (running.returncode, "the request is cancelled" in stderr) == (130, True)
    assert router.wait_for("request")["status"] == "CANCELLED"


def test_what_is_no_text_and_what_no_field_holds_is_one_sentence(run, tmp_path):
    (tmp_path / "binary").write_bytes(b"\x7fELF\x00\xff\xfe")
    binary = run("--file", str(tmp_path / "binary"))
    assert (binary.returncode, binary.stdout) == (1, "") and "is no UTF-8 text" in binary.stderr
    huge = run("text", "--max-new-tokens", str(2**40))
    assert (huge.returncode, huge.stdout) == (1, "") and "Traceback" not in huge.stderr
    wrong = run("text", "--temperature", "-1", "--budget", "0", "--min-retained-mass", "2")
    assert wrong.returncode == 1
    assert [field for field in ("sampling.temperature", "kv.min_retained_mass") if field not in wrong.stderr] == []


def test_a_server_that_is_killed_in_mid_stream_has_broken_off(start_runtime):
    runtime = start_runtime(tokens_per_second=50)
    command = [*COMMAND, prompt(20), "--max-new-tokens", "2000", "--router", runtime.target]
    runtime.wait_for("ready")
    running = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout and running.stdout.read(1)
    runtime.kill()
    stdout, stderr = running.communicate(timeout=60)
    # what came before stands on a line of its own
    assert running.returncode == 1 and stdout.endswith("\n")
    assert "has broken off" in stderr and stderr.count("\n") == 1


def test_a_listener_that_is_no_grpc_server_is_told_from_a_router(run):
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        done = run("text", "--timeout", "20", target=f"127.0.0.1:{http.server_port}")
        http.shutdown()
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not speak gRPC" in done.stderr and "gRPC port" in done.stderr


def test_a_caller_without_a_key_and_one_above_its_quota_are_told_what_to_do(
    start_runtime, start_router, redis_server, tmp_path
):
    (tmp_path / "keys.yaml").write_text(
        f"keys:\n- {{sha256: {hashlib.sha256(b'one').hexdigest()}, tenant: acme, admin: true}}\n"
    )
    known = {"ROUTER_API_KEYS_PATH": tmp_path / "keys.yaml", "ROUTER_REDIS_URL": redis_server.url}
    router = start_router(start_runtime().target, **known)
    router.wait_for("runtime in")

    def ask(group: list[str], key: str) -> subprocess.CompletedProcess[str]:
        variables = os.environ | {"LOOKAHEADKV_ROUTER": router.target, "LOOKAHEADKV_API_KEY": key}
        return subprocess.run([*COMMAND[:-1], *group], cwd=ROOT, env=variables, text=True, capture_output=True)

    generate = ["generate", "text", "--max-new-tokens", "1"]
    nobody = ask(generate, "")
    assert nobody.returncode == 1 and "UNAUTHENTICATED" in nobody.stderr and "LOOKAHEADKV_API_KEY" in nobody.stderr
    assert ask(["tenants", "set", "acme", "requests_per_minute=1"], "one").returncode == 0
    answers = [ask(generate, "one") for _ in range(3)]
    refused = next(answer for answer in answers if answer.returncode)
    assert refused.returncode == 1 and "RESOURCE_EXHAUSTED" in refused.stderr
    assert re.search(r"try again in [\d.]+ s", refused.stderr)
