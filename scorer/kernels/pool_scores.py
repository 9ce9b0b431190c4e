"""Smoothing of scores over neighbouring tokens."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import triton
import triton.language as tl

from scorer.kernels.dispatch import ExampleShape, Kernel, choose

BLOCK_TOKENS = 1024


def pool_scores(scores: torch.Tensor, width: int) -> torch.Tensor:
    """Mean over `width` (odd) neighbouring tokens.

    scores [L, Hkv, T] float32 -> the same shape. The window is cut at both ends, so every score is a mean over real
    tokens.
    """
    return choose(KERNEL, scores)(scores, width)


def pool_scores_reference(scores: torch.Tensor, width: int) -> torch.Tensor:
    """`pool_scores` with torch."""
    return F.avg_pool1d(scores, width, stride=1, padding=width // 2, count_include_pad=False)


def pool_scores_triton(scores: torch.Tensor, width: int) -> torch.Tensor:
    """`pool_scores` in one launch; also of a slice along the tokens, which is not copied first."""
    layers, kv_heads, tokens = scores.shape
    if scores.stride(2) != 1:
        scores = scores.contiguous()
    pooled = torch.empty(scores.shape, device=scores.device, dtype=torch.float32)
    _pool_scores_kernel[(triton.cdiv(tokens, BLOCK_TOKENS), kv_heads, layers)](
        scores, pooled, scores.stride(0), scores.stride(1), tokens, WIDTH=width, BLOCK=BLOCK_TOKENS
    )
    return pooled


@triton.jit(do_not_specialize=["layer_stride", "head_stride", "tokens"])
def _pool_scores_kernel(
    scores, pooled, layer_stride, head_stride, tokens, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    # one program per (block of tokens, KV head, layer)
    i_head, i_layer = tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)
    o_t = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row = scores + i_layer * layer_stride + i_head * head_stride
    total = tl.zeros([BLOCK], tl.float32)
    count = tl.zeros([BLOCK], tl.float32)
    for shift in range(WIDTH):
        o_n = o_t + shift - WIDTH // 2
        inside = (o_n >= 0) & (o_n < tokens)
        count += inside.to(tl.float32)
        total += tl.load(row + o_n, mask=inside, other=0.0).to(tl.float32)
    out = pooled + (i_layer * tl.num_programs(1) + i_head) * tokens + o_t
    # lanes beyond the prompt may have no neighbour at all
    tl.store(out, total / tl.maximum(count, 1.0), mask=o_t < tokens)


def _example(shape: ExampleShape) -> tuple[Any, ...]:
    """A slice of two layers, as a policy that leaves out its window makes one."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(2, shape.kv_heads, 1100, generator=generator).to(shape.device)
    return scores[..., :1060], 5


KERNEL = Kernel("pool_scores", pool_scores_reference, pool_scores_triton, _example)
