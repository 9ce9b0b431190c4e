"""A low-rank update of a linear layer's output, for some rows only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl

from scorer.kernels.dispatch import ExampleShape, Kernel, choose

BLOCK_ROWS = 16
BLOCK_OUT = 128


def rows_of(ranges: Sequence[tuple[int, int]], device: torch.device) -> torch.Tensor:
    """The rows in `ranges`, each from a first row up to, not including, a last one: [N] int64 on `device`."""
    rows = [row for first, last in ranges for row in range(first, last)]
    return torch.tensor(rows, dtype=torch.int64).to(device, non_blocking=True)


def lora_rows(
    output: torch.Tensor, inputs: torch.Tensor, a: torch.Tensor, b: torch.Tensor, rows: torch.Tensor, scale: float
) -> None:
    """Add `scale` * (inputs A^T) B^T to `output`, in place, in the given rows; all others stay as they are, exactly.

    output [R, out], inputs [R, in], a [r, in], b [out, r], any float dtype. rows [N] int64, each row at most once:
    made by `rows_of`, once for all layers of a pass. The update is computed in float32 and rounded once, at the sum.
    """
    choose(KERNEL, output)(output, inputs, a, b, rows, scale)


def lora_rows_reference(
    output: torch.Tensor, inputs: torch.Tensor, a: torch.Tensor, b: torch.Tensor, rows: torch.Tensor, scale: float
) -> None:
    """`lora_rows` with two matrix products."""
    update = (inputs[rows].float() @ a.float().mT) @ b.float().mT
    output[rows] = (output[rows].float() + scale * update).to(output.dtype)


def lora_rows_triton(
    output: torch.Tensor, inputs: torch.Tensor, a: torch.Tensor, b: torch.Tensor, rows: torch.Tensor, scale: float
) -> None:
    """`lora_rows` in two launches: down to the rank, and up again."""
    (rank, width), count = a.shape, len(rows)
    a, b = a.contiguous(), b.contiguous()
    block_rank = max(16, triton.next_power_of_2(rank))
    down = torch.empty(count, rank, device=output.device, dtype=torch.float32)
    row_blocks = triton.cdiv(count, BLOCK_ROWS)
    _down_kernel[(row_blocks,)](
        inputs, a, rows, down, count, inputs.stride(0), inputs.stride(1),
        WIDTH=width, RANK=rank, BLOCK_RANK=block_rank, BLOCK_WIDTH=128, BLOCK=BLOCK_ROWS,
    )  # fmt: skip
    _up_kernel[(row_blocks, triton.cdiv(len(b), BLOCK_OUT))](
        output, b, rows, down, count, scale, output.stride(0), output.stride(1),
        OUT=len(b), RANK=rank, BLOCK_RANK=block_rank, BLOCK_OUT=BLOCK_OUT, BLOCK=BLOCK_ROWS,
    )  # fmt: skip


@triton.jit(do_not_specialize=["count"])
def _down_kernel(
    inputs, a, rows, down, count, row_stride, column_stride,
    WIDTH: tl.constexpr, RANK: tl.constexpr, BLOCK_RANK: tl.constexpr, BLOCK_WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # one program per block of rows: down [N, r] = inputs[rows] A^T
    o_n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    o_r = tl.arange(0, BLOCK_RANK)
    inside, in_rank = o_n < count, o_r < RANK
    row = tl.load(rows + o_n, mask=inside, other=0)
    acc = tl.zeros([BLOCK, BLOCK_RANK], tl.float32)
    for start in range(0, WIDTH, BLOCK_WIDTH):
        o_w = start + tl.arange(0, BLOCK_WIDTH).to(tl.int64)
        in_width = o_w < WIDTH
        x = tl.load(
            inputs + row[:, None] * row_stride + o_w[None, :] * column_stride,
            mask=inside[:, None] & in_width[None, :],
            other=0.0,
        )
        weight = tl.load(
            a + o_r[None, :].to(tl.int64) * WIDTH + o_w[:, None], mask=in_rank[None, :] & in_width[:, None], other=0.0
        )
        # float32 holds the products of all our dtypes; the rank is so small that tensor cores would gain nothing
        acc += tl.dot(x.to(tl.float32), weight.to(tl.float32), input_precision="ieee")
    tl.store(down + o_n[:, None] * RANK + o_r[None, :], acc, mask=inside[:, None] & in_rank[None, :])


@triton.jit(do_not_specialize=["count"])
def _up_kernel(
    output, b, rows, down, count, scale, row_stride, column_stride,
    OUT: tl.constexpr, RANK: tl.constexpr, BLOCK_RANK: tl.constexpr, BLOCK_OUT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # one program per (block of rows, block of outputs): output[rows] += scale * down B^T
    o_n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    o_o = tl.program_id(1).to(tl.int64) * BLOCK_OUT + tl.arange(0, BLOCK_OUT)
    o_r = tl.arange(0, BLOCK_RANK)
    inside, in_out, in_rank = o_n < count, o_o < OUT, o_r < RANK
    x = tl.load(down + o_n[:, None] * RANK + o_r[None, :], mask=inside[:, None] & in_rank[None, :], other=0.0)
    weight = tl.load(b + o_o[None, :] * RANK + o_r[:, None], mask=in_out[None, :] & in_rank[:, None], other=0.0)
    update = tl.dot(x, weight.to(tl.float32), input_precision="ieee") * scale
    row = tl.load(rows + o_n, mask=inside, other=0)
    mask = inside[:, None] & in_out[None, :]
    place = output + row[:, None] * row_stride + o_o[None, :] * column_stride
    updated = tl.load(place, mask=mask, other=0.0).to(tl.float32) + update
    tl.store(place, updated.to(output.dtype.element_ty), mask=mask)


def _example(shape: ExampleShape) -> tuple[Any, ...]:
    """Two ranges of rows, with rows between them that must not change."""
    generator = torch.Generator().manual_seed(0)
    width, out, rank = shape.query_heads * shape.head_dim, shape.kv_heads * shape.head_dim, 8

    def random(*sizes: int) -> torch.Tensor:
        return torch.randn(*sizes, generator=generator).to(shape.device, shape.dtype)

    # as trained: an update of the size of the output
    a, b = random(rank, width) / width**0.5, random(out, rank) / rank**0.5
    return random(70, out), random(70, width), a, b, rows_of([(0, 32), (37, 69)], shape.device), 1.0


KERNEL = Kernel("lora_rows", lora_rows_reference, lora_rows_triton, _example)
