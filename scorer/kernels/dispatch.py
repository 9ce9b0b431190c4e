"""Which form of an operation runs: its Triton kernel on CUDA, unless that failed at start, else its reference."""

from __future__ import annotations

import copy
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

# name -> its Kernel; a string, so that the files of the kernels can import this one
KERNELS = {
    "attend_rows": "scorer.kernels.attend_rows:KERNEL",
    "compact_kv": "scorer.kernels.compact_kv:KERNEL",
    "lora_rows": "scorer.kernels.lora_rows:KERNEL",
    "pool_scores": "scorer.kernels.pool_scores:KERNEL",
    "top_tokens": "scorer.kernels.top_tokens:KERNEL",
}


@dataclass(frozen=True)
class ExampleShape:
    """What the small inputs of a validation look like: the dtype and the heads of the model that will be served."""

    device: torch.device
    dtype: torch.dtype
    query_heads: int
    kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class Kernel:
    """Two functions with the same arguments, and how to make arguments to compare them on."""

    name: str
    reference: Callable[..., Any]
    triton: Callable[..., Any]
    example: Callable[[ExampleShape], tuple[Any, ...]]


@dataclass(frozen=True)
class KernelCheck:
    """Outcome of a kernel's validation; `error` is empty when it is ok."""

    name: str
    ok: bool
    error: str = ""


@dataclass
class KernelHealth:
    """The kernels that are turned off, with the reason, and how often a reference ran on CUDA in place of each."""

    failed: dict[str, str] = field(default_factory=dict)
    fallbacks: Counter[str] = field(default_factory=Counter)


HEALTH = KernelHealth()


def choose(kernel: Kernel, tensor: torch.Tensor, health: KernelHealth = HEALTH) -> Callable[..., Any]:
    """The function of `kernel` to call on tensors that lie where `tensor` does; only references have gradients."""
    if not tensor.is_cuda or tensor.requires_grad:
        return kernel.reference
    if kernel.name in health.failed:
        health.fallbacks[kernel.name] += 1
        return kernel.reference
    return kernel.triton


def load_kernel(name: str) -> Kernel:
    """A kernel in KERNELS; only now is Triton imported."""
    kernel: Kernel = pkgutil.resolve_name(KERNELS[name])
    return kernel


def validate_kernels(
    shape: ExampleShape, health: KernelHealth = HEALTH, kernels: Mapping[str, str] = KERNELS
) -> list[KernelCheck]:
    """Compare each kernel with its reference on small inputs, and turn those that differ or fail off for good.

    Run once, before the first request: it also compiles the kernels for the shapes of the model.
    """
    checks = [_check(name, target, shape) for name, target in kernels.items()]
    health.failed.update({check.name: check.error for check in checks if not check.ok})
    return checks


def _check(name: str, target: str, shape: ExampleShape) -> KernelCheck:
    try:
        kernel: Kernel = pkgutil.resolve_name(target)
        arguments = kernel.example(shape)
        expected, actual = _effects(kernel.reference, arguments), _effects(kernel.triton, arguments)
        for ours, right in zip(actual, expected, strict=True):
            rtol, atol = _tolerance(right.dtype)
            torch.testing.assert_close(ours, right, rtol=rtol, atol=atol)
    except Exception as error:  # noqa: BLE001 - whatever a compiler or a driver raises, serving goes on without it
        return KernelCheck(name, False, f"{type(error).__name__}: {error}")
    return KernelCheck(name, True)


def _effects(call: Callable[..., Any], arguments: tuple[Any, ...]) -> list[torch.Tensor]:
    """What a call returned and what it made of its arguments, as some kernels work in place."""
    own = copy.deepcopy(arguments)
    return [*_tensors(call(*own)), *_tensors(own)]


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _tolerance(dtype: torch.dtype) -> tuple[float, float]:
    """Relative and absolute."""
    if not dtype.is_floating_point:
        return 0.0, 0.0
    if dtype.itemsize < 4:
        # a few units in the last place of bfloat16: what is rounded to it on the way differs
        return 2e-2, 2e-2
    # sums of some hundred terms in another order; TF32, where a reference uses it, keeps 10 bits
    return 2e-3, 1e-4
