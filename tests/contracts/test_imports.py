"""What a process must not load, which import rules cannot see through string tables."""

import json
import subprocess
import sys

import pytest

from tests.processes import ROOT

HEAVY = {"torch", "triton", "transformers", "sglang", "numpy"}


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("module", ["scorer.main", "router.main"])
def test_sidecar_and_router_load_no_torch(module):
    loaded = json.loads(run(f"import {module}, sys, json; print(json.dumps([m for m in sys.modules if '.' not in m]))"))
    assert "grpc" in loaded
    assert not HEAVY & set(loaded)


def test_the_adapter_store_loads_no_torch():
    loaded = json.loads(run("import scorer.adapters.redis_store, sys, json; print(json.dumps(list(sys.modules)))"))
    assert "redis.asyncio" in loaded
    assert not HEAVY & set(loaded)


def test_runtime_with_the_fake_engine_loads_no_torch():
    code = "import services.runtime.main, services.runtime.backends.fake, sys; print('torch' in sys.modules)"
    assert run(code).strip() == "False"


def test_shipped_scoring_file_is_read_without_torch():
    code = (
        "import sys, pathlib; from scorer.config_file import read_config_file;"
        "read_config_file(pathlib.Path('scorer/scoring.yaml')); print('torch' in sys.modules)"
    )
    assert run(code).strip() == "False"


@pytest.mark.parametrize("module", ["scorer.main", "router.main", "services.runtime.main"])
def test_importing_a_process_starts_nothing(module):
    code = (
        f"import threading, os, {module};"
        "print(threading.active_count(), 'sockets', any('socket' in os.readlink(f'/proc/self/fd/{fd}')"
        " for fd in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{fd}')))"
    )
    assert run(code).strip() == "1 sockets False"
