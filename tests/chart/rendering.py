"""The chart as `helm template` renders it."""

import json
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import ROOT

CHART = ROOT / "helm" / "lookaheadkv"
CI_VALUES = sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))
HELM = ROOT / "build" / "tools" / "helm"
RELEASE, NAMESPACE = "rel", "serving"

Manifest = dict[str, Any]


def helm(*arguments: str, values: str = "") -> subprocess.CompletedProcess[str]:
    """What helm says; `values` is YAML. Fails where there is none."""
    if not HELM.is_file():
        pytest.fail("there is no build/tools/helm; make chart gets it")
    return subprocess.run([str(HELM), *arguments], input=values, text=True, capture_output=True)


@lru_cache(maxsize=256)
def render(values_name: str = "", more: str = "{}", chart: Path = CHART) -> list[Manifest]:
    """The manifests with the values of a file in `ci/`, and with more of them, as JSON."""
    files = ["--values", str(chart / "ci" / values_name)] if values_name else []
    rendered = helm("template", RELEASE, str(chart), "--namespace", NAMESPACE, *files, "--values", "-", values=more)
    assert rendered.returncode == 0, rendered.stderr
    return [manifest for manifest in yaml.safe_load_all(rendered.stdout) if manifest]


def render_with(values_name: str = "", **values: Any) -> list[Manifest]:
    """The same, with values as Python has them."""
    return render(values_name, json.dumps(values))


def refusal(**values: Any) -> str:
    """Why helm refuses these values."""
    refused = helm("template", RELEASE, str(CHART), "--values", "-", values=json.dumps(values))
    assert refused.returncode != 0, "helm takes them"
    return refused.stderr


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind by name, without what begins all of them."""
    return {
        manifest["metadata"]["name"].removeprefix(f"{RELEASE}-lookaheadkv-"): manifest
        for manifest in manifests
        if manifest["kind"] == kind
    }


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pods that the manifests make: metadata and spec, by the name of their workload."""
    found = {}
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            found[manifest["metadata"]["name"]] = manifest["spec"]["template"]
        elif manifest["kind"] == "Pod":
            found[manifest["metadata"]["name"]] = manifest
    return found


def containers(pod: Manifest) -> list[Manifest]:
    """All of a pod, sidecars included."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environment(container: Manifest) -> dict[str, Any]:
    """Names and values; what comes from elsewhere is the dictionary that says from where."""
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container.get("env", [])}
