"""The processes as the chart starts them, on one machine: same environment, same script of Valkey, same smoke test."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.chart.rendering import RELEASE, Manifest, containers, environment, of_kind, pods, render
from tests.processes import ROOT, ServerProcess, free_port, poll
from tests.redis_servers import server_program

IMAGES = {"scorer": "scorer", "runtime": "runtime-cpu", "router": "router"}


class Machine:
    """What has another name here than in a cluster: hosts, ports, folders. Everything else is as rendered."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.folder = folder
        ports = {port: str(free_port()) for port in ("50050", "50051", "50052", "8000", "9050", "9051", "9052", "6379")}
        self._names = {
            f"{RELEASE}-lookaheadkv-redis": "127.0.0.1",
            f"{RELEASE}-lookaheadkv-runtime.serving.svc": "localhost",
            f"{RELEASE}-lookaheadkv-router.serving.svc": "127.0.0.1",
            "0.0.0.0": "127.0.0.1",
            "/models/SmolLM2-135M-Instruct": str(model),
            "/etc/lookaheadkv/scoring.yaml": str(ROOT / "scorer" / "scoring.yaml"),
            "/var/lib/lookaheadkv/adapters": str(folder),
            "/tmp/policies.json": str(folder / "policies.json"),
            "/run/valkey": str(folder),
            "/data": str(folder),
            "exec valkey-server": f"exec {server_program('valkey')}",
            **ports,
        }

    def here(self, text: str) -> str:
        for there, name in self._names.items():
            text = text.replace(there, name)
        return text

    def variables(self, container: Manifest, manifests: list[Manifest]) -> dict[str, str]:
        """A container's environment, secrets looked up."""
        found = {}
        for name, value in environment(container).items():
            found[name] = self.here(value if isinstance(value, str) else _looked_up(value, manifests))
        return found


def module_of(image: str) -> str:
    """What the image runs."""
    (entry_point,) = re.findall(
        r"^ENTRYPOINT (.*)$", (ROOT / "images" / f"{image}.Dockerfile").read_text(), re.MULTILINE
    )
    module: str = json.loads(entry_point)[-1]
    return module


def _looked_up(source: dict[str, Any], manifests: list[Manifest]) -> str:
    if "fieldRef" in source:
        return "a-pod"
    secret = source["secretKeyRef"]
    data = {one["metadata"]["name"]: one["data"] for one in of_kind(manifests, "Secret").values()}
    return base64.b64decode(data[secret["name"]][secret["key"]]).decode()


@contextmanager
def valkey(machine: Machine, manifests: list[Manifest]) -> Iterator[None]:
    """By the script of its container."""
    (container,) = containers(pods(manifests)[f"{RELEASE}-lookaheadkv-redis"])
    command = [*container["command"], *map(machine.here, container["args"])]
    variables = machine.variables(container, manifests)
    with subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.terminate()


@pytest.fixture
def started(tiny_model: Path, tmp_path: Path) -> Iterator[tuple[Machine, list[Manifest], dict[str, ServerProcess]]]:
    machine, manifests = Machine(tmp_path, tiny_model), render("cpu-demo-values.yaml")
    processes: dict[str, ServerProcess] = {}
    with ExitStack() as stack:
        stack.enter_context(valkey(machine, manifests))
        for pod in ("runtime", "router"):
            for container in containers(pods(manifests)[f"{RELEASE}-lookaheadkv-{pod}"]):
                variables = machine.variables(container, manifests)
                if container["name"] == "runtime":
                    # no model that a real engine would load, and so none of its arguments
                    variables |= {"RUNTIME_BACKEND": "fake", "RUNTIME_ENGINE_ARGS": "{}"}
                process = ServerProcess(module_of(IMAGES[container["name"]]), variables)
                stack.callback(process.kill)
                processes[container["name"]] = process
        yield machine, manifests, processes


def smoke(machine: Machine, manifests: list[Manifest], **more: str) -> subprocess.CompletedProcess[str]:
    """The container of `helm test`."""
    (container,) = containers(pods(manifests)[f"{RELEASE}-lookaheadkv-smoke"])
    command = [sys.executable, *container["command"][1:]]
    variables = machine.variables(container, manifests) | more
    return subprocess.run(command, cwd=ROOT, env=os.environ | variables, text=True, capture_output=True)


def test_helm_test_passes_against_the_processes_that_the_chart_starts(started):
    machine, manifests, processes = started
    processes["router"].wait_for("runtime in")
    passed = poll(lambda: _passed(smoke(machine, manifests)), 30)
    assert "tokens kept by" in passed.stdout and "tenant default may keep" in passed.stdout
    # the registry is there, with the password of the secret
    assert processes["scorer"].wait_for("listening")
    assert not [line for line in processes["router"].events if line.get("level") == "error"]


def _passed(tried: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str] | None:
    return tried if tried.returncode == 0 else None


def test_without_a_router_the_smoke_test_says_so(tmp_path, tiny_model):
    failed = smoke(Machine(tmp_path, tiny_model), render("cpu-demo-values.yaml"), SMOKE_TIMEOUT_SECONDS="2")
    assert failed.returncode == 1
    assert "answers UNAVAILABLE" in failed.stderr
