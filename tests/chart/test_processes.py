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

from services.local.model import ensure_model
from services.local.settings import LocalSettings
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


@contextmanager
def running(machine: Machine, manifests: list[Manifest], **runtime: str) -> Iterator[dict[str, ServerProcess]]:
    """Every process of the manifests by its name; `runtime` is put above that one's environment."""
    processes: dict[str, ServerProcess] = {}
    with ExitStack() as stack:
        stack.enter_context(valkey(machine, manifests))
        for pod in ("runtime", "router"):
            for container in containers(pods(manifests)[f"{RELEASE}-lookaheadkv-{pod}"]):
                name = container["name"]
                variables = machine.variables(container, manifests) | (runtime if name == "runtime" else {})
                processes[name] = ServerProcess(module_of(IMAGES[name]), variables)
                stack.callback(processes[name].kill)
        yield processes


def smoke(machine: Machine, manifests: list[Manifest], **more: str) -> subprocess.CompletedProcess[str]:
    """The container of `helm test`."""
    (container,) = containers(pods(manifests)[f"{RELEASE}-lookaheadkv-smoke"])
    command = [sys.executable, *container["command"][1:]]
    variables = machine.variables(container, manifests) | more
    return subprocess.run(command, cwd=ROOT, env=os.environ | variables, text=True, capture_output=True)


def test_helm_test_passes_against_the_processes_that_the_chart_starts(tiny_model, tmp_path):
    machine, manifests = Machine(tmp_path, tiny_model), render("cpu-demo-values.yaml")
    # a model that no real engine would load, and so none of its arguments
    with running(machine, manifests, RUNTIME_BACKEND="fake", RUNTIME_ENGINE_ARGS="{}") as processes:
        check(machine, manifests, processes, seconds=30)


@pytest.mark.engine
def test_helm_test_passes_with_the_engine_and_the_model_of_the_demo(tmp_path):
    machine, manifests = Machine(tmp_path, ensure_model(LocalSettings().cache)), render("cpu-demo-values.yaml")
    with running(machine, manifests) as processes:
        assert "tokens kept by fused" in check(machine, manifests, processes, seconds=240)


def check(machine: Machine, manifests: list[Manifest], processes: dict[str, ServerProcess], seconds: float) -> str:
    """What the smoke test prints, once the runtime is ready."""
    processes["router"].wait_for("runtime in", seconds)
    passed: subprocess.CompletedProcess[str] = poll(lambda: _passed(smoke(machine, manifests)), seconds)
    assert "tenant default may keep" in passed.stdout
    # the registry is there, with the password of the secret
    assert processes["scorer"].wait_for("listening")
    assert not [line for line in processes["router"].events if line.get("level") == "error"]
    return passed.stdout


def _passed(tried: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str] | None:
    return tried if tried.returncode == 0 else None


def test_without_a_router_the_smoke_test_says_so(tmp_path, tiny_model):
    failed = smoke(Machine(tmp_path, tiny_model), render("cpu-demo-values.yaml"), SMOKE_TIMEOUT_SECONDS="2")
    assert failed.returncode == 1
    assert "answers UNAVAILABLE" in failed.stderr
