"""What is asked of this machine before anything is started."""

import json
import socket

import pytest

from services.local import memory
from services.local.memory import GIB, available_bytes, memory_problem
from services.local.model_folder import INDEX, folder_problem, missing_files, weights_bytes
from services.local.ports import port_problem


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """4 GiB that are free, and no GPU."""
    (tmp_path / "meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")
    for name, file in (("MEMINFO", "meminfo"), ("CGROUP", "cgroup"), ("CUDA_DEVICE", "nvidia")):
        monkeypatch.setattr(memory, name, tmp_path / file)
    return tmp_path


def test_a_model_must_fit_beside_what_serves_it(machine):
    assert memory_problem(2 * GIB) == ""
    problem = memory_problem(2 * GIB + 1)
    assert problem.startswith("4.0 GiB of memory are free") and "serve a smaller model" in problem


def test_a_container_has_what_its_limit_leaves(machine):
    (machine / "cgroup").mkdir()
    (machine / "cgroup" / "memory.max").write_text(str(3 * GIB))
    (machine / "cgroup" / "memory.current").write_text(str(GIB))
    assert available_bytes() == 2 * GIB
    (machine / "cgroup" / "memory.max").write_text("max\n")
    assert available_bytes() == 4 * GIB


def test_on_a_gpu_the_model_lies_elsewhere_and_what_nobody_knows_stops_nobody(machine):
    (machine / "nvidia").touch()
    assert memory_problem(100 * GIB) == ""
    (machine / "nvidia").unlink()
    (machine / "meminfo").unlink()
    assert memory_problem(100 * GIB) == ""


def test_a_model_folder_lacks_each_file_that_is_not_there(tmp_path):
    assert missing_files(tmp_path) == ["config.json", "tokenizer.json", "*.safetensors"]
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).touch()
    assert folder_problem(tmp_path, with_weights=False) == ""
    (tmp_path / "a.safetensors").write_bytes(b"1234")
    assert (folder_problem(tmp_path), weights_bytes(tmp_path)) == ("", 4)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}))
    assert missing_files(tmp_path) == ["b.safetensors"]
    (tmp_path / INDEX).write_text("no JSON")
    assert missing_files(tmp_path) == []


def test_a_port_is_free_or_says_why_not():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port_problem(port) == f"port {port}: Address already in use"
    assert port_problem(port) == ""
