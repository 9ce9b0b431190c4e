"""A scanner of manifests has no objection that is not answered here."""

import json
import subprocess

import pytest
import yaml

from tests.chart.rendering import CI_VALUES, HELM, render

CHECKOV = HELM.parent / "checkov" / "bin" / "checkov"
ANSWERED = {
    "CKV_K8S_11": "a limit of CPU slows a process down while the node has nothing else to do",
    "CKV_K8S_15": "tags are pinned, so what a node has is right",
    "CKV_K8S_35": "settings are read from the environment; a file of a key that many processes read is no safer",
    "CKV_K8S_38": "the router's token is mounted only where it watches EndpointSlices",
    "CKV_K8S_43": "the digest of each image is a value",
}


@pytest.mark.parametrize("name", CI_VALUES)
def test_the_scanner_finds_nothing_else(name, tmp_path):
    path = tmp_path / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(render(name)))
    command = [str(CHECKOV), "-f", str(path), "--framework", "kubernetes", "--output", "json", "--skip-check"]
    scanned = subprocess.run([*command, ",".join(ANSWERED)], text=True, capture_output=True)
    found = json.loads(scanned.stdout)
    assert found["summary"]["passed"] > 100, scanned.stderr
    failed = found["results"]["failed_checks"]
    assert [f"{one['check_id']} {one['check_name']}: {one['resource']}" for one in failed] == []
