"""Moving the kept K/V of a prompt into a few slots of the paged pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl

from scorer.kernels.dispatch import ExampleShape, Kernel, choose

BLOCK_VECTORS = 16


def compact_kv(
    layers: Sequence[Sequence[torch.Tensor]], source: torch.Tensor, kept: torch.Tensor, target: torch.Tensor
) -> None:
    """Copy, in each layer and for each head, the kept tokens into the same target slots, in place.

    layers: K and V of each layer, each [slots, Hkv, D]. source [T] int64: the slot of each prompt token. kept
    [L, Hkv, K] int64: token positions by layer and head. target [K] int64: slot i gets each head's i-th kept token.
    Source and target may overlap: a buffer is gathered in full before it is written. Scratch is one [Hkv, K, D].
    """
    choose(KERNEL, kept)(layers, source, kept, target)


def compact_kv_reference(
    layers: Sequence[Sequence[torch.Tensor]], source: torch.Tensor, kept: torch.Tensor, target: torch.Tensor
) -> None:
    """`compact_kv` with a copy for each head, which is several times faster than indexing by slot and head."""
    for buffers, from_slots in zip(layers, source[kept], strict=True):
        for buffer in buffers:
            gathered = [buffer[:, head].index_select(0, slots) for head, slots in enumerate(from_slots)]
            buffer[target] = torch.stack(gathered, dim=1)


def compact_kv_triton(
    layers: Sequence[Sequence[torch.Tensor]], source: torch.Tensor, kept: torch.Tensor, target: torch.Tensor
) -> None:
    """`compact_kv` in two launches a buffer. They share one scratch: launches of a stream run one after the other."""
    first = layers[0][0]
    scratch = first.new_empty(*kept.shape[1:], first.shape[-1])  # [Hkv, K, D]
    kept = kept.contiguous()
    for buffers, positions in zip(layers, kept, strict=True):
        for buffer in buffers:
            if buffer.shape[-1] != scratch.shape[-1]:
                scratch = buffer.new_empty(*kept.shape[1:], buffer.shape[-1])
            _copy(buffer, scratch, source, positions, gather=True)
            _copy(buffer, scratch, target, positions, gather=False)


def _copy(buffer: torch.Tensor, scratch: torch.Tensor, slots: torch.Tensor, kept: torch.Tensor, gather: bool) -> None:
    kv_heads, tokens, head_dim = scratch.shape
    _copy_kernel[(triton.cdiv(tokens, BLOCK_VECTORS), kv_heads)](
        buffer, scratch, slots, kept, buffer.stride(0), buffer.stride(1), tokens, GATHER=gather, HEAD_DIM=head_dim,
        BLOCK_DIM=triton.next_power_of_2(head_dim), BLOCK=BLOCK_VECTORS,
    )  # fmt: skip


@triton.jit(do_not_specialize=["tokens"])
def _copy_kernel(
    buffer, scratch, slots, kept, slot_stride, head_stride, tokens,
    GATHER: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_DIM: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # one program per (block of kept tokens, KV head): out of the buffer at source[kept], or into it at target
    i_head = tl.program_id(1).to(tl.int64)
    o_k = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    o_d = tl.arange(0, BLOCK_DIM)
    inside = o_k < tokens
    mask = inside[:, None] & (o_d < HEAD_DIM)[None, :]
    local = scratch + (i_head * tokens + o_k)[:, None] * HEAD_DIM + o_d[None, :]
    index = tl.load(kept + i_head * tokens + o_k, mask=inside, other=0) if GATHER else o_k
    slot = tl.load(slots + index, mask=inside, other=0)
    remote = buffer + slot[:, None] * slot_stride + i_head * head_stride + o_d[None, :]
    if GATHER:
        tl.store(local, tl.load(remote, mask=mask, other=0.0), mask=mask)
    else:
        tl.store(remote, tl.load(local, mask=mask, other=0.0), mask=mask)


def _example(shape: ExampleShape) -> tuple[Any, ...]:
    """Two layers; the kept tokens move onto the prompt's own first slots."""
    generator = torch.Generator().manual_seed(0)
    tokens, budget, slots = 40, 17, 64
    pools = torch.randn(2, 2, slots, shape.kv_heads, shape.head_dim, generator=generator).to(shape.device, shape.dtype)
    source = torch.randperm(slots, generator=generator)[:tokens].to(shape.device)
    order = torch.rand(2, shape.kv_heads, tokens, generator=generator).argsort(-1)
    kept = order[..., :budget].sort(-1).values.to(shape.device)
    return [list(layer) for layer in pools], source, kept, source[:budget]


KERNEL = Kernel("compact_kv", compact_kv_reference, compact_kv_triton, _example)
