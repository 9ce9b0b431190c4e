"""requirements/service.txt is enough for router, scorer and command line, and has nothing else, torch least of all."""

import json
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.ops.locks import PROJECT, asked_by, closure, lines, named, names
from tests.processes import ROOT

SERVICE, CPU = "requirements/service.txt", "requirements/cpu.txt"
# of these modules none can be imported
IMPORT_ALONE = """
import importlib, importlib.abc, json, sys

refused = set(json.loads(sys.argv[2]))

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"{name} is not in the set", name=name)

sys.meta_path.insert(0, Refuse())
importlib.import_module(sys.argv[1])
"""


def modules_beside(packages: set[str]) -> set[str]:
    """What is installed here, and brought by none of these packages."""
    found = packages_distributions().items()
    others = {module for module, brought_by in found if not packages & {named(name) for name in brought_by}}
    return others - {"protos", "scorer", "router", "services"}


def import_alone(module: str, packages: set[str]) -> subprocess.CompletedProcess[str]:
    refused = json.dumps(sorted(modules_beside(packages)))
    command = [sys.executable, "-c", IMPORT_ALONE, module, refused]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=120)


def test_it_is_the_part_of_the_cpu_lock_that_the_dependencies_lead_to():
    needed = closure(PROJECT["dependencies"])
    assert lines(SERVICE) == [line for line in lines(CPU) if named(line) in needed]


def test_its_direct_requirements_are_the_projects_as_in_the_cpu_set():
    direct = lines("requirements/service.in")
    assert {named(line) for line in direct} == {named(line) for line in PROJECT["dependencies"]}
    assert set(direct) <= set(lines("requirements/cpu.in"))


def test_no_torch_is_in_it():
    without = {"torch", "triton", "transformers", "sglang", "numpy"}
    assert not names(SERVICE) & without
    assert without <= modules_beside(names(SERVICE))


@pytest.mark.parametrize("module", ["router.main", "scorer.main", "services.cli.main"])
def test_the_entry_points_import_from_it_alone(module):
    imported = import_alone(module, names(SERVICE))
    assert imported.returncode == 0, imported.stderr


def test_an_import_beside_it_is_noticed():
    imported = import_alone("router.main", names(SERVICE) - {"structlog"})
    assert "structlog is not in the set" in imported.stderr


def test_a_runtime_needs_nothing_that_its_image_leaves_out():
    left_out = {named(line) for line in lines("images/not-at-run-time.txt")}
    kept = names(CPU) - left_out
    asked = {one.name: name for name in kept for one in asked_by(name) if named(one.name) in left_out}
    assert asked == {}
    imported = import_alone("services.runtime.main", kept)
    assert imported.returncode == 0, imported.stderr
