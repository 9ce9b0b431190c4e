"""Which pool slots a request holds, and how it changes them for fewer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from sglang.srt.mem_cache.common import evict_from_tree_cache

from scorer.kernels.compact_kv import compact_kv


@contextmanager
def on_forward_stream(scheduler: Any) -> Iterator[None]:
    """Run behind this step's forward and ahead of whatever the scheduler does next. On CPU both streams are empty."""
    with scheduler.forward_stream_ctx:
        scheduler.forward_stream.wait_stream(scheduler.schedule_stream)
        yield
    scheduler.schedule_stream.wait_stream(scheduler.forward_stream)


def free_slots(scheduler: Any) -> int:
    """Slots that a new request could use: free ones, and those of cached prefixes that nobody uses."""
    available: int = scheduler.token_to_kv_pool_allocator.available_size()
    return available + int(scheduler.tree_cache.evictable_size())


def prompt_slots(scheduler: Any, req: Any) -> torch.Tensor:
    """The slot of each prompt token, [T] int64, a copy."""
    row = scheduler.req_to_token_pool.req_to_token[req.kv.req_pool_idx]
    return row[: len(req.origin_input_ids)].to(torch.int64, copy=True)


def compact(scheduler: Any, req: Any, kept: torch.Tensor, extra_tokens: int) -> torch.Tensor | None:
    """Move the kept K/V of every layer and head into slots of the request's own and give back all its other slots.

    kept [L, Hkv, K] int64. Returns the request's slots from now on, [K + extra_tokens] int64; the last `extra_tokens`
    are still empty. None, with nothing changed, when the pool has no room. The whole prompt stays in the radix tree
    as a prefix that can be evicted, when there is a tree.
    """
    tree, pool = scheduler.tree_cache, scheduler.token_to_kv_pool_allocator.get_kvcache()
    if not tree.disable and not req.skip_radix_cache_insert:
        tree.checkpoint(req, up_to=len(req.origin_input_ids))
    source = prompt_slots(scheduler, req)
    target = _change_slots(scheduler, req, source, kept.shape[-1] + extra_tokens)
    if target is None:
        return None
    layers = range(pool.start_layer, pool.start_layer + len(kept))
    buffers = [(pool.get_key_buffer(layer), pool.get_value_buffer(layer)) for layer in layers]
    compact_kv(buffers, source, kept, target[: kept.shape[-1]])
    _write_row(scheduler, req, target)
    return target


def _change_slots(scheduler: Any, req: Any, source: torch.Tensor, tokens: int) -> torch.Tensor | None:
    # slots given back here keep their content until the next forward writes to them, which is behind our copies
    allocator, page = scheduler.token_to_kv_pool_allocator, scheduler.token_to_kv_pool_allocator.page_size
    owned_from, needed = req.kv.cache_protected_len, -(-tokens // page) * page
    if owned_from == 0 and tokens <= len(source):
        allocator.free(source[needed:])
        return source[:tokens]
    if not _make_room(scheduler, req, needed):
        return None
    slots: torch.Tensor = allocator.alloc(needed).to(torch.int64)
    allocator.free(source[owned_from:])
    return slots[:tokens]


def _make_room(scheduler: Any, req: Any, needed: int) -> bool:
    """Let go of the tree's prefix, and evict until `needed` slots are free; False, with the prefix held, if too few."""
    tree = scheduler.tree_cache
    held = req.lock
    if held is not None:
        tree.unlock(held)
        req.lock = None
    if free_slots(scheduler) < needed:
        req.lock = None if held is None else tree.lock(held.node)
        return False
    evict_from_tree_cache(tree, needed)
    return True


def _write_row(scheduler: Any, req: Any, target: torch.Tensor) -> None:
    table, row, length = scheduler.req_to_token_pool, req.kv.req_pool_idx, len(target)
    table.write((row, slice(0, length)), target.to(torch.int32))
    table.req_to_token[row, length : max(length, len(req.origin_input_ids))] = 0
    req.kv.cache_protected_len = 0
    req.kv.kv_committed_len = req.kv.kv_allocated_len = length
    # compacted K/V must never be found under the token ids of the whole prompt
    req.skip_radix_cache_insert = True
