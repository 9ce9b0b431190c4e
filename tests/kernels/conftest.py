"""Kernels run natively on a CUDA machine and in Triton's interpreter elsewhere; memory that nobody wrote holds NaN."""

import pytest
import torch
import triton.language as tl
from triton.runtime.interpreter import InterpreterBuilder


@pytest.fixture
def device():
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch):
    """Results that a kernel forgets to write are NaN, or a position that no prompt has."""

    def poisoned(make):
        def call(*args, **kwargs):
            made = make(*args, **kwargs)
            return made.fill_(torch.nan if made.is_floating_point() else torch.iinfo(made.dtype).min)

        return call

    monkeypatch.setattr(torch, "empty", poisoned(torch.empty))
    monkeypatch.setattr(torch, "empty_like", poisoned(torch.empty_like))
    monkeypatch.setattr(torch.Tensor, "new_empty", poisoned(torch.Tensor.new_empty))


@pytest.fixture(autouse=True)
def interpreted_bfloat16(monkeypatch):
    """The interpreter holds bfloat16 as bits in uint16, and would multiply those in a dot product."""
    dot = InterpreterBuilder.create_dot

    def widened(builder, operand):
        return builder.cast_impl(operand, tl.float32) if operand.dtype.scalar == tl.bfloat16 else operand

    def create_dot(self, a, b, *rest):
        return dot(self, widened(self, a), widened(self, b), *rest)

    monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)
