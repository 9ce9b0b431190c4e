"""Kernels run on CUDA only, are compared with their references at the start, and stay off when they differ or fail."""

from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch

from scorer.kernels.dispatch import KERNELS, ExampleShape, Kernel, KernelHealth, choose, load_kernel, validate_kernels

GOOD = Kernel("double", lambda x: x * 2, lambda x: x + x, lambda shape: (torch.arange(9.0),))
WRONG = replace(GOOD, triton=lambda x: x * 2.1)
BROKEN = replace(GOOD, triton=lambda x: 1 / 0)
IN_PLACE = replace(GOOD, reference=lambda x: x.mul_(2), triton=lambda x: None)


def on_cuda():
    """Looks like a tensor on CUDA, on a machine without."""
    return Mock(torch.Tensor, is_cuda=True, requires_grad=False)


@pytest.fixture
def health():
    return KernelHealth()


def shape_of(dtype, device):
    return ExampleShape(device, dtype, query_heads=9, kv_heads=3, head_dim=64)


def validate(name, health):
    return validate_kernels(shape_of(torch.float32, torch.device("cpu")), health, {name: f"{__name__}:{name}"})[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_all_kernels_pass_their_validation(dtype, device, health):
    checks = validate_kernels(shape_of(dtype, device), health)
    assert [check.name for check in checks if check.ok] == list(KERNELS), checks
    assert health == KernelHealth()


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_is_known_by_the_name_it_carries(name):
    assert load_kernel(name).name == name


@pytest.mark.parametrize(("name", "why"), [("WRONG", "not close"), ("BROKEN", "ZeroDivisionError")])
def test_kernel_that_differs_or_fails_is_turned_off_and_says_why(name, why, health):
    check = validate(name, health)
    assert not check.ok
    assert why in check.error
    assert health.failed == {name: check.error}


def test_what_a_kernel_does_to_its_arguments_is_compared_too(health):
    assert not validate("IN_PLACE", health).ok


def test_good_kernel_stays_on(health):
    assert validate("GOOD", health).ok
    assert choose(GOOD, on_cuda(), health) is GOOD.triton
    assert not health.fallbacks


def test_failed_kernel_gives_way_to_its_reference_and_each_time_counts(health):
    health.failed["double"] = "differs"
    assert [choose(GOOD, on_cuda(), health) for _ in range(2)] == [GOOD.reference] * 2
    assert health.fallbacks == {"double": 2}


def test_on_cpu_the_reference_runs_and_nothing_counts_as_a_fallback(health):
    assert choose(GOOD, torch.zeros(1), health) is GOOD.reference
    assert not health.fallbacks
