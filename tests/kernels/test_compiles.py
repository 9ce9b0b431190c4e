"""Kernels compile for the GPU, which the interpreter does not show, and need no more shared memory than it has."""

import subprocess
import sys

import pytest

# what a block can have on an H100 or H200
SHARED_BYTES = 227 * 1024


# Llama 3.1 8B, SmolLM2, and the largest tiles there are
@pytest.mark.parametrize("model", ["bfloat16 32 8 128", "float16 9 3 64", "float32 8 4 256"])
def test_kernels_compile_and_fit_into_shared_memory(model):
    command = [sys.executable, "-W", "ignore", "-m", "tests.kernels.compiles", *model.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shared = dict(line.split() for line in done.stdout.splitlines())
    assert len(shared) == 8  # attend_rows has three kernels, lora_rows two
    assert {name for name, size in shared.items() if int(size) > SHARED_BYTES} == set()
