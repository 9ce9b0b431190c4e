"""Attention of a few query rows over prompts in the paged pool, with the mass that each key received."""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from scorer.kernels.dispatch import ExampleShape, Kernel, choose
from scorer.kernels.rows import RowLayout, row_layout

BLOCK_KEYS = 64


def attend_rows(
    queries: torch.Tensor,
    row_keys: torch.Tensor,
    row_values: torch.Tensor,
    key_pool: torch.Tensor,
    value_pool: torch.Tensor,
    layout: RowLayout,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of each group's rows over its context and, causally, over the group's own rows.

    queries [R, Hq, D], row_keys and row_values [R, Hkv, D], key_pool and value_pool [slots, Hkv, D], any float dtype
    -> output [R, Hq, D] in the dtype of the queries, mass [Hkv, sum(T + W)] float32: group after group, context first,
    the probability of each key, mean over the group's rows and over the query heads of the KV head, so that each
    group's mass sums to 1 for each head.
    """
    impl = choose(KERNEL, queries)
    return impl(queries, row_keys, row_values, key_pool, value_pool, layout, scale)


def attend_rows_reference(
    queries: torch.Tensor,
    row_keys: torch.Tensor,
    row_values: torch.Tensor,
    key_pool: torch.Tensor,
    value_pool: torch.Tensor,
    layout: RowLayout,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`attend_rows`, one group after the other; scratch is [Hq, W, T + W] float32."""
    sizes = layout.row_counts
    groups = zip(
        queries.split(sizes),
        row_keys.split(sizes),
        row_values.split(sizes),
        layout.slots.split(layout.token_counts),
        strict=True,
    )
    parts = [
        _attend_group(q, _behind(key_pool, slots, k), _behind(value_pool, slots, v), scale) for q, k, v, slots in groups
    ]
    return torch.cat([output for output, _ in parts]), torch.cat([mass for _, mass in parts], dim=1)


def _behind(pool: torch.Tensor, slots: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    # whole rows are copied several times faster than by indexing, and once
    if pool.dtype != rows.dtype:
        return torch.cat([pool.index_select(0, slots), rows])
    behind = pool.new_empty(len(slots) + len(rows), *pool.shape[1:])
    torch.index_select(pool, 0, slots, out=behind[: len(slots)])
    behind[len(slots) :] = rows
    return behind


def _attend_group(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """queries [W, Hq, D], keys and values [T + W, Hkv, D] -> output [W, Hq, D], mass [Hkv, T + W]."""
    rows, query_heads, head_dim = queries.shape
    total, kv_heads = keys.shape[:2]
    later = torch.ones(rows, rows, dtype=torch.bool, device=queries.device).triu(1)
    grouped = queries.float().view(rows, kv_heads, -1, head_dim).permute(1, 2, 0, 3)  # [Hkv, G, W, D]
    # one KV head at a time, in the same memory, which stays in the processor's cache
    logits = torch.empty(query_heads // kv_heads * rows, total, device=queries.device)  # [G * W, T + W]
    probabilities, outputs, masses = torch.empty_like(logits), [], []
    for head, head_queries in enumerate(grouped):
        torch.mm(head_queries.flatten(0, 1), keys[:, head].float().T, out=logits)
        logits.mul_(scale).view(-1, rows, total)[..., total - rows :].masked_fill_(later, float("-inf"))
        torch.softmax(logits, dim=-1, out=probabilities)
        outputs.append(probabilities.to(values.dtype) @ values[:, head])
        masses.append(probabilities.mean(dim=0))
    output = torch.stack(outputs).view(kv_heads, -1, rows, head_dim).permute(2, 0, 1, 3).reshape(queries.shape)
    return output.to(queries.dtype), torch.stack(masses)


def attend_rows_triton(
    queries: torch.Tensor,
    row_keys: torch.Tensor,
    row_values: torch.Tensor,
    key_pool: torch.Tensor,
    value_pool: torch.Tensor,
    layout: RowLayout,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`attend_rows` in three launches: parts of the attention, their combination, and the mass.

    The mass is computed from each row's log-sum-exp over again, so no [W, T] tensor is ever in memory.
    """
    rows, query_heads, head_dim = queries.shape
    kv_heads, groups = row_keys.shape[1], len(layout.row_counts)
    queries, row_keys, row_values = queries.contiguous(), row_keys.contiguous(), row_values.contiguous()
    device, total = queries.device, sum(layout.mass_sizes)
    partial = torch.empty(layout.partial_rows, query_heads, head_dim, device=device, dtype=torch.float32)
    partial_lse = torch.empty(layout.partial_rows, query_heads, device=device, dtype=torch.float32)
    output, mass = torch.empty_like(queries), torch.empty(kv_heads, total, device=device, dtype=torch.float32)
    lse = torch.empty(rows, query_heads, device=device, dtype=torch.float32)
    shape = _shape(queries, row_keys, key_pool)
    strides = (key_pool.stride(0), key_pool.stride(1), value_pool.stride(0), value_pool.stride(1))
    row_blocks = triton.cdiv(max(layout.row_counts) * shape["GROUP"], shape["BLOCK_ROWS"])
    parts = triton.cdiv(max(layout.token_counts), layout.part_tokens) + 1
    key_blocks = triton.cdiv(max(layout.token_counts), BLOCK_KEYS) + triton.cdiv(max(layout.row_counts), BLOCK_KEYS)
    where = (layout.slots, layout.starts, layout.starts.shape[1])
    options = _options(shape)

    # row blocks that read the same keys are neighbours, so that all but one find them in the L2 cache
    _attend_parts_kernel[(row_blocks, parts, kv_heads * groups)](
        queries, row_keys, row_values, key_pool, value_pool, partial, partial_lse,
        *where, *strides, layout.part_tokens, scale, **shape, **options,
    )  # fmt: skip
    _combine_parts_kernel[(rows, query_heads)](
        partial, partial_lse, output, lse, layout.row_groups, layout.starts, layout.starts.shape[1],
        layout.part_tokens, HEADS=query_heads, HEAD_DIM=head_dim, BLOCK_DIM=shape["BLOCK_DIM"],
    )  # fmt: skip
    _mass_kernel[(key_blocks, kv_heads, groups)](
        queries, row_keys, key_pool, lse, mass,
        *where, *strides[:2], total, scale, **shape, **options,
    )  # fmt: skip
    return output, mass


def _shape(queries: torch.Tensor, row_keys: torch.Tensor, key_pool: torch.Tensor) -> dict[str, Any]:
    """Everything that a kernel is compiled for; the same for all layers of a model."""
    query_heads, head_dim = queries.shape[1:]
    kv_heads = row_keys.shape[1]
    # products are computed in the dtype that holds both sides exactly, and added up in float32
    dtype = torch.promote_types(torch.promote_types(queries.dtype, row_keys.dtype), key_pool.dtype)
    small = dtype.itemsize > 2 or head_dim > 128
    return {
        "KV_HEADS": kv_heads,
        "GROUP": query_heads // kv_heads,
        "HEAD_DIM": head_dim,
        "BLOCK_DIM": max(16, triton.next_power_of_2(head_dim)),
        # 128 rows: a window of 32 with four query heads a KV head reads each key once
        "BLOCK_ROWS": 32 if small else 128,
        "BLOCK_KEYS": BLOCK_KEYS,
        "DTYPE": {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}[dtype],
    }


def _options(shape: dict[str, Any]) -> dict[str, int]:
    # as many stages of K and V tiles as fit into shared memory
    row_bytes = shape["BLOCK_DIM"] * shape["DTYPE"].primitive_bitwidth // 8
    return {"num_warps": 8, "num_stages": min(3, max(1, 1024 // row_bytes))}


@triton.jit
def _group_bounds(starts, stride, i_group):
    # rows, slots and partial results of a group: first row, rows, first slot, tokens, first partial row
    row_start = tl.load(starts + i_group)
    slot_start = tl.load(starts + stride + i_group)
    rows = tl.load(starts + i_group + 1) - row_start
    tokens = tl.load(starts + stride + i_group + 1) - slot_start
    return row_start, rows, slot_start, tokens, tl.load(starts + 2 * stride + i_group)


@triton.jit
def _load_queries(
    queries, row_start, rows, i_head, first,
    KV_HEADS: tl.constexpr, GROUP: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, DTYPE: tl.constexpr,
):  # fmt: skip
    # the rows of all query heads of a KV head are one block: entry m is row m // GROUP, head m % GROUP of the group
    o_m = first + tl.arange(0, BLOCK_ROWS)
    o_d = tl.arange(0, BLOCK_DIM)
    o_row = o_m // GROUP
    entry = (row_start + o_row) * (KV_HEADS * GROUP) + i_head * GROUP + o_m % GROUP
    inside = o_row < rows
    mask = inside[:, None] & (o_d < HEAD_DIM)[None, :]
    block = tl.load(queries + entry[:, None] * HEAD_DIM + o_d[None, :], mask=mask, other=0.0)
    return block.to(DTYPE), o_row, entry, inside


@triton.jit
def _load_keys(base, index, stride, inside, HEAD_DIM: tl.constexpr, BLOCK_DIM: tl.constexpr, DTYPE: tl.constexpr):
    # [BLOCK_KEYS, BLOCK_DIM], zero outside
    o_d = tl.arange(0, BLOCK_DIM)
    mask = inside[:, None] & (o_d < HEAD_DIM)[None, :]
    return tl.load(base + index[:, None] * stride + o_d[None, :], mask=mask, other=0.0).to(DTYPE)


@triton.jit
def _store_rows(base, index, block, inside, HEAD_DIM: tl.constexpr, BLOCK_DIM: tl.constexpr):
    o_d = tl.arange(0, BLOCK_DIM)
    mask = inside[:, None] & (o_d < HEAD_DIM)[None, :]
    tl.store(base + index[:, None] * HEAD_DIM + o_d[None, :], block, mask=mask)


@triton.jit
def _logits(query, key, scale):
    # float32 in three TF32 products: as good as float32, while one product would keep 10 bits
    return tl.dot(query, tl.trans(key), input_precision="tf32x3") * scale


@triton.jit
def _online_softmax(query, key, value, visible, scale, top, total, acc, DTYPE: tl.constexpr):
    logits = tl.where(visible, _logits(query, key, scale), float("-inf"))
    new_top = tl.maximum(top, tl.max(logits, axis=1))
    # a row that has seen no key yet keeps -inf, and -inf minus -inf is NaN
    safe_top = tl.where(new_top == float("-inf"), 0.0, new_top)
    shrink = tl.exp(top - safe_top)
    weight = tl.exp(logits - safe_top[:, None])
    total = total * shrink + tl.sum(weight, axis=1)
    acc = acc * shrink[:, None] + tl.dot(weight.to(DTYPE), value, input_precision="tf32x3")
    return new_top, total, acc


@triton.jit(do_not_specialize=["starts_stride", "part_tokens"])
def _attend_parts_kernel(
    queries, row_keys, row_values, key_pool, value_pool, partial, partial_lse, slots, starts, starts_stride,
    key_slot_stride, key_head_stride, value_slot_stride, value_head_stride, part_tokens, scale,
    KV_HEADS: tl.constexpr, GROUP: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_KEYS: tl.constexpr, DTYPE: tl.constexpr,
):  # fmt: skip
    # one program per (block of rows, part of the keys, KV head of a group); the last part is the rows themselves
    i_part = tl.program_id(1).to(tl.int64)
    i_head = (tl.program_id(2) % KV_HEADS).to(tl.int64)
    i_group = (tl.program_id(2) // KV_HEADS).to(tl.int64)
    row_start, rows, slot_start, tokens, partial_start = _group_bounds(starts, starts_stride, i_group)
    first, context_parts = tl.program_id(0).to(tl.int64) * BLOCK_ROWS, tl.cdiv(tokens, part_tokens)
    if (first >= rows * GROUP) | (i_part > context_parts):
        return
    query, o_row, entry, real = _load_queries(
        queries, row_start, rows, i_head, first, KV_HEADS, GROUP, HEAD_DIM, BLOCK_DIM, BLOCK_ROWS, DTYPE
    )
    top = tl.full([BLOCK_ROWS], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_ROWS], tl.float32)
    acc = tl.zeros([BLOCK_ROWS, BLOCK_DIM], tl.float32)
    if i_part < context_parts:
        end = tl.minimum((i_part + 1) * part_tokens, tokens)
        for start in range(i_part * part_tokens, end, BLOCK_KEYS):
            o_n = start + tl.arange(0, BLOCK_KEYS)
            inside = o_n < end
            slot = tl.load(slots + slot_start + o_n, mask=inside, other=0)
            key = _load_keys(
                key_pool + i_head * key_head_stride, slot, key_slot_stride, inside, HEAD_DIM, BLOCK_DIM, DTYPE
            )
            value = _load_keys(
                value_pool + i_head * value_head_stride, slot, value_slot_stride, inside, HEAD_DIM, BLOCK_DIM, DTYPE
            )
            top, total, acc = _online_softmax(query, key, value, inside[None, :], scale, top, total, acc, DTYPE)
    else:
        for start in range(0, rows, BLOCK_KEYS):
            o_n = start + tl.arange(0, BLOCK_KEYS)
            inside = o_n < rows
            row = row_start + o_n
            key = _load_keys(row_keys + i_head * HEAD_DIM, row, KV_HEADS * HEAD_DIM, inside, HEAD_DIM, BLOCK_DIM, DTYPE)
            value = _load_keys(
                row_values + i_head * HEAD_DIM, row, KV_HEADS * HEAD_DIM, inside, HEAD_DIM, BLOCK_DIM, DTYPE
            )
            visible = inside[None, :] & (o_n[None, :] <= o_row[:, None])
            top, total, acc = _online_softmax(query, key, value, visible, scale, top, total, acc, DTYPE)
    # partial results of a group are [parts, W, Hq, D]
    out = (partial_start + i_part * rows - row_start) * (KV_HEADS * GROUP) + entry
    tl.store(partial_lse + out, top + tl.log(total), mask=real)
    _store_rows(partial, out, acc / total[:, None], real, HEAD_DIM, BLOCK_DIM)


@triton.jit(do_not_specialize=["starts_stride", "part_tokens"])
def _combine_parts_kernel(
    partial, partial_lse, output, lse, row_groups, starts, starts_stride, part_tokens,
    HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
):  # fmt: skip
    # one program per (row, query head)
    i_row = tl.program_id(0).to(tl.int64)
    i_head = tl.program_id(1)
    row_start, rows, slot_start, tokens, partial_start = _group_bounds(
        starts, starts_stride, tl.load(row_groups + i_row)
    )
    o_d = tl.arange(0, BLOCK_DIM)
    mask = o_d < HEAD_DIM
    top = tl.full([], float("-inf"), tl.float32)
    total = tl.zeros([], tl.float32)
    acc = tl.zeros([BLOCK_DIM], tl.float32)
    for i_part in range(tl.cdiv(tokens, part_tokens) + 1):
        entry = (partial_start + i_part * rows + i_row - row_start) * HEADS + i_head
        part_lse = tl.load(partial_lse + entry)
        new_top = tl.maximum(top, part_lse)
        shrink, weight = tl.exp(top - new_top), tl.exp(part_lse - new_top)
        total = total * shrink + weight
        acc = acc * shrink + weight * tl.load(partial + entry * HEAD_DIM + o_d, mask=mask, other=0.0)
        top = new_top
    here = i_row * HEADS + i_head
    tl.store(output + here * HEAD_DIM + o_d, (acc / total).to(output.dtype.element_ty), mask=mask)
    tl.store(lse + here, top + tl.log(total))


@triton.jit(do_not_specialize=["starts_stride", "mass_stride"])
def _mass_kernel(
    queries, row_keys, key_pool, lse, mass, slots, starts, starts_stride,
    key_slot_stride, key_head_stride, mass_stride, scale,
    KV_HEADS: tl.constexpr, GROUP: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_DIM: tl.constexpr,
    BLOCK_ROWS: tl.constexpr, BLOCK_KEYS: tl.constexpr, DTYPE: tl.constexpr,
):  # fmt: skip
    # one program per (block of keys, KV head, group); blocks of context tokens first, then blocks of rows
    i_block = tl.program_id(0).to(tl.int64)
    i_head = tl.program_id(1).to(tl.int64)
    row_start, rows, slot_start, tokens, partial_start = _group_bounds(
        starts, starts_stride, tl.program_id(2).to(tl.int64)
    )
    context_blocks = tl.cdiv(tokens, BLOCK_KEYS)
    if i_block >= context_blocks + tl.cdiv(rows, BLOCK_KEYS):
        return
    o_n = i_block * BLOCK_KEYS + tl.arange(0, BLOCK_KEYS)
    # the key is visible to rows from `since` on
    since = tl.zeros([BLOCK_KEYS], tl.int64)
    if i_block < context_blocks:
        inside, column = o_n < tokens, o_n
        slot = tl.load(slots + slot_start + o_n, mask=inside, other=0)
        key = _load_keys(key_pool + i_head * key_head_stride, slot, key_slot_stride, inside, HEAD_DIM, BLOCK_DIM, DTYPE)
    else:
        since = o_n - context_blocks * BLOCK_KEYS
        inside, column = since < rows, tokens + since
        key = _load_keys(
            row_keys + i_head * HEAD_DIM, row_start + since, KV_HEADS * HEAD_DIM, inside, HEAD_DIM, BLOCK_DIM, DTYPE
        )
    received = tl.zeros([BLOCK_KEYS], tl.float32)
    for first in range(0, rows * GROUP, BLOCK_ROWS):
        query, o_row, entry, real = _load_queries(
            queries, row_start, rows, i_head, first, KV_HEADS, GROUP, HEAD_DIM, BLOCK_DIM, BLOCK_ROWS, DTYPE
        )
        row_lse = tl.load(lse + entry, mask=real, other=0.0)
        visible = real[:, None] & (since[None, :] <= o_row[:, None])
        logits = tl.where(visible, _logits(query, key, scale) - row_lse[:, None], float("-inf"))
        received += tl.sum(tl.exp(logits), axis=0)
    # where a group's mass begins: behind all earlier context tokens and rows
    out = mass + i_head * mass_stride + slot_start + row_start + column
    tl.store(out, received / (rows * GROUP), mask=inside)


def _example(shape: ExampleShape) -> tuple[Any, ...]:
    """Two requests: one of several blocks and one shorter than a block, over slots in no order."""
    generator = torch.Generator().manual_seed(0)
    rows, tokens = (32, 3), (333, 5)
    slots = torch.randperm(512, generator=generator)[: sum(tokens)].to(shape.device)

    def random(*sizes: int) -> torch.Tensor:
        return torch.randn(*sizes, generator=generator).to(shape.device, shape.dtype)

    queries = random(sum(rows), shape.query_heads, shape.head_dim)
    row_keys, row_values = (random(sum(rows), shape.kv_heads, shape.head_dim) for _ in range(2))
    key_pool, value_pool = (random(512, shape.kv_heads, shape.head_dim) for _ in range(2))
    layout = row_layout(slots.split(tokens), rows)
    return queries, row_keys, row_values, key_pool, value_pool, layout, shape.head_dim**-0.5


KERNEL = Kernel("attend_rows", attend_rows_reference, attend_rows_triton, _example)
