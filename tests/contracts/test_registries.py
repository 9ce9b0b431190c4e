"""Every entry of a registry loads, and naming it in a table is all it takes."""

import dataclasses
import subprocess
import sys

import pytest

from scorer.policies import POLICIES, POLICY_NAMES, load_policy
from services.runtime.backends import BACKENDS
from services.runtime.backends.base import Backend
from services.runtime.settings import RuntimeSettings
from tests.processes import ROOT

BACKEND_MEMBERS = {name for name in vars(Backend) if not name.startswith("_")}


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_loads_is_complete_and_starts_nothing(name):
    # apart, because the import of an engine changes the process that does it
    code = (
        "import multiprocessing, services.runtime.backends as b;"
        f"c = b.load_backend({name!r});"
        "print(c.__name__, *(m for m in dir(c)), 'children', len(multiprocessing.active_children()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    words = done.stdout.splitlines()[-1].split()
    # `info` is set when the backend starts
    assert BACKEND_MEMBERS - {"info"} <= set(words)
    assert words[-2:] == ["children", "0"]


def test_every_backend_can_be_chosen_in_the_settings():
    choices = RuntimeSettings.model_fields["backend"].annotation
    assert set(getattr(choices, "__args__", ())) == set(BACKENDS)


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_loads_with_its_defaults_and_its_parameters_are_fields(name):
    policy = load_policy(name)
    assert dataclasses.is_dataclass(policy)
    assert policy() == policy()
    assert callable(policy().score)


def test_full_is_no_policy_of_the_table_but_a_name_that_requests_may_use():
    assert "full" not in POLICIES
    assert set(POLICY_NAMES) == {"full", *POLICIES}
