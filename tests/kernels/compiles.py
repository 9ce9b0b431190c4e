"""Compile each kernel for an H100 or H200 on any machine, as its launch would, and print what it takes.

Run as a process of its own, as kernels that are interpreted cannot be compiled. One line a kernel: name, shared bytes.
"""

import sys

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

from scorer.kernels.dispatch import KERNELS, ExampleShape, load_kernel

HOPPER = GPUTarget("cuda", 90, 32)


class NoDevice:
    """Stands in for the driver: says what to compile for, and has nothing to launch on."""

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0

    def get_current_target(self):
        return HOPPER


def compile_only(function, *args, grid, warmup, **kwargs):
    compiled = launch(function, *args, grid=grid, warmup=True, **kwargs)
    print(function.__name__, compiled.metadata.shared)  # noqa: T201 - read by the test


launch = JITFunction.run

if __name__ == "__main__":
    dtype, *heads = sys.argv[1:]
    triton.runtime.driver.set_active(NoDevice())
    JITFunction.run = compile_only
    shape = ExampleShape(torch.device("cpu"), getattr(torch, dtype), *map(int, heads))
    for name in KERNELS:
        kernel = load_kernel(name)
        kernel.triton(*kernel.example(shape))
