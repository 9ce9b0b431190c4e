"""The tokens with the highest scores, in the order of the prompt."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from scorer.kernels.dispatch import ExampleShape, Kernel, choose

BLOCK_TOKENS = 2048


def top_tokens(scores: torch.Tensor, count: int, sink_tokens: int, recent_tokens: int) -> torch.Tensor:
    """Positions of the `count` highest scores of each head, ascending; of equal ones, those of earlier tokens.

    scores [L, Hkv, T] float32, finite -> [L, Hkv, count] int64. The first `sink_tokens` and the last `recent_tokens`
    count as higher than all others. Needs sink_tokens + recent_tokens <= count <= T.
    """
    return choose(KERNEL, scores)(scores, count, sink_tokens, recent_tokens)


def top_tokens_reference(scores: torch.Tensor, count: int, sink_tokens: int, recent_tokens: int) -> torch.Tensor:
    """`top_tokens` with torch: the lowest score that stays, then all above it, then the first of those equal to it."""
    tokens = scores.shape[-1]
    protected = scores.clone()
    protected[..., :sink_tokens] = torch.inf
    protected[..., tokens - recent_tokens :] = torch.inf
    lowest = protected.topk(count, dim=-1).values[..., -1:]
    above, equal = protected > lowest, protected == lowest
    room = count - above.sum(-1, keepdim=True)
    kept = above | (equal & (equal.cumsum(-1) <= room))
    # dropped tokens write to one place more, which is cut off; unlike nonzero this does not wait for a device
    place = torch.where(kept, kept.cumsum(-1) - 1, count)
    positions = torch.arange(tokens, device=scores.device).expand(scores.shape)
    found = torch.empty(*scores.shape[:-1], count + 1, dtype=torch.int64, device=scores.device)
    return found.scatter_(-1, place, positions)[..., :count].contiguous()


def top_tokens_triton(scores: torch.Tensor, count: int, sink_tokens: int, recent_tokens: int) -> torch.Tensor:
    """`top_tokens` by radix selection, one program a head: no sort, and nothing in memory but scores and positions."""
    layers, kv_heads, tokens = scores.shape
    scores = scores.contiguous()
    found = torch.empty(layers, kv_heads, count, dtype=torch.int64, device=scores.device)
    _top_tokens_kernel[(layers * kv_heads,)](
        scores, found, tokens, count, sink_tokens, recent_tokens, BLOCK=BLOCK_TOKENS, num_warps=8
    )
    return found


@triton.jit
def _ranks(scores, o_t, tokens, sinks, recent):
    # scores as unsigned integers in the same order, protected tokens above all; 0 outside the prompt
    inside = o_t < tokens
    score = tl.load(scores + o_t, mask=inside, other=0.0)
    # +0.0 makes -0.0 equal to 0.0
    bits = (score + 0.0).to(tl.uint32, bitcast=True)
    rank = tl.where(bits >= 0x80000000, ~bits, bits | 0x80000000)
    protected = (o_t < sinks) | (o_t >= tokens - recent)
    return tl.where(protected, 0xFFFFFFFF, rank).to(tl.uint32), inside


@triton.jit(do_not_specialize=["tokens", "count", "sinks", "recent"])
def _top_tokens_kernel(scores, found, tokens, count, sinks, recent, BLOCK: tl.constexpr):
    # one program per head
    i_head = tl.program_id(0).to(tl.int64)
    scores += i_head * tokens
    found += i_head * count
    o_bin = tl.arange(0, 256)
    # the rank of the lowest score that stays, found byte by byte from the highest; `room` more of its prefix stay
    lowest = tl.zeros([], tl.uint32)
    known = tl.zeros([], tl.uint32)
    room = count.to(tl.int32)
    for step in tl.static_range(4):
        shift = 24 - 8 * step
        bins = tl.zeros([256], tl.int32)
        for start in range(0, tokens, BLOCK):
            rank, inside = _ranks(scores, start + tl.arange(0, BLOCK), tokens, sinks, recent)
            match = inside & ((rank & known) == lowest)
            bins += tl.histogram(((rank >> shift) & 0xFF).to(tl.int32), 256, mask=match)
        # how many are in each bin or a higher one
        from_top = tl.sum(bins) - tl.cumsum(bins, 0) + bins
        digit = tl.max(tl.where(from_top >= room, o_bin, 0))
        room -= tl.sum(tl.where(o_bin > digit, bins, 0))
        lowest = lowest | (digit.to(tl.uint32) << shift)
        known = known | (tl.full([], 0xFF, tl.uint32) << shift)
    done = tl.zeros([], tl.int32)
    equal_before = tl.zeros([], tl.int32)
    for start in range(0, tokens, BLOCK):
        o_t = start + tl.arange(0, BLOCK)
        rank, inside = _ranks(scores, o_t, tokens, sinks, recent)
        equal = (inside & (rank == lowest)).to(tl.int32)
        among_equal = equal_before + tl.cumsum(equal, 0)
        kept = inside & ((rank > lowest) | ((equal == 1) & (among_equal <= room)))
        place = done + tl.cumsum(kept.to(tl.int32), 0) - 1
        tl.store(found + place, o_t.to(tl.int64), mask=kept)
        done += tl.sum(kept.to(tl.int32))
        equal_before += tl.sum(equal)


def _example(shape: ExampleShape) -> tuple[Any, ...]:
    """Scores of two layers with many equal ones, so that ties are decided too."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(-40, 40, (2, shape.kv_heads, 3000), generator=generator) / 8
    return scores.to(shape.device), 300, 4, 32


KERNEL = Kernel("top_tokens", top_tokens_reference, top_tokens_triton, _example)
