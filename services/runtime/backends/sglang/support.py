"""What the plugin cannot serve. It says so at the start rather than give wrong answers later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sglang.srt.mem_cache.allocator.paged import PagedTokenToKVPoolAllocator
from sglang.srt.mem_cache.allocator.token import TokenToKVPoolAllocator
from sglang.srt.mem_cache.memory_pool import MHATokenToKVPool
from sglang.srt.mem_cache.unified_radix_cache import UnifiedRadixCache
from sglang.srt.runtime_context import get_context

from services.runtime.backends.sglang.architectures import ARCHITECTURES

# setting of SGLang, the values that are fine, and why others are not
SETTINGS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    (
        "speculative_algorithm",
        lambda v: v in (None, "NONE"),
        "speculative decoding keeps its own positions and lengths",
    ),
    ("enable_mixed_chunk", lambda v: not v, "decode rows of a mixed batch get positions of their own"),
    ("disaggregation_mode", lambda v: v in (None, "null"), "disaggregated prefill and decode move KV by true length"),
    ("pp_size", lambda v: v == 1, "the scoring pass needs all layers in one process"),
    ("tp_size", lambda v: v == 1, "tensor parallelism has not been tested"),
    ("dp_size", lambda v: v in (None, 1), "start one runtime per GPU and let the router balance"),
    ("attn_cp_size", lambda v: v in (None, 1), "context parallelism shards the prompt's KV"),
    ("dcp_size", lambda v: v in (None, 1), "decode context parallelism shards the KV of a request"),
    ("enable_pdmux", lambda v: not v, "multiplexed prefill and decode have not been tested"),
    ("enable_hisparse", lambda v: not v, "HiSparse moves KV of running requests on its own"),
    ("enable_hierarchical_cache", lambda v: not v, "HiCache has not been tested"),
    ("enable_streaming_session", lambda v: not v, "streaming sessions extend requests that are compacted"),
    ("enable_lora", lambda v: not v, "the scoring pass does not apply a request's own LoRA"),
    ("dllm_algorithm", lambda v: not v, "diffusion models have no prompt cache to evict"),
)


class Unsupported(Exception):
    """SGLang is set up in a way that the plugin refuses. The message says which, and why."""


def refuse_settings() -> None:
    """Raise Unsupported unless SGLang's resolved settings are among those that eviction is safe with."""
    _refuse(_setting_reasons())


def refuse_model(scheduler: Any) -> None:
    """Raise Unsupported unless eviction is safe with the model and the memory pools that `scheduler` has built."""
    _refuse([*_model_reasons(scheduler), *_memory_reasons(scheduler)])


def _refuse(reasons: list[str]) -> None:
    if reasons:
        raise Unsupported("; ".join(reasons))


def _setting_reasons() -> list[str]:
    resolved = get_context().resolved_server_args_dict()
    return [
        f"{name}={resolved[name]!r} is not supported: {why}"
        for name, fine, why in SETTINGS
        if name in resolved and not fine(resolved[name])
    ]


def _model_reasons(scheduler: Any) -> list[str]:
    config = scheduler.tp_worker.model_runner.model_config
    names = config.hf_config.architectures or []
    if not set(names) & set(ARCHITECTURES):
        return [f"architectures={names} is not supported; these are: {', '.join(ARCHITECTURES)}"]
    if scheduler.is_hybrid_swa:
        return ["sliding-window layers are not supported: they do not hold the whole prompt"]
    return []


def _memory_reasons(scheduler: Any) -> list[str]:
    allocator, tree = scheduler.token_to_kv_pool_allocator, scheduler.tree_cache
    pool = allocator.get_kvcache()
    parts = (
        ("KV pool", pool, (MHATokenToKVPool,)),
        ("slot allocator", allocator, (TokenToKVPoolAllocator, PagedTokenToKVPoolAllocator)),
        ("prefix cache", tree, (UnifiedRadixCache,)),
    )
    reasons = [
        f"{what} {type(part).__name__} is not supported; these are: {', '.join(k.__name__ for k in known)}"
        for what, part, known in parts
        if type(part) not in known
    ]
    if isinstance(pool, MHATokenToKVPool):
        if pool.kv_cache_layout != "nhd":
            reasons.append(f"KV layout {pool.kv_cache_layout!r} is not supported, only nhd")
        if pool.store_dtype != pool.dtype or pool.dtype.itemsize < 2:
            reasons.append(f"KV dtype {pool.dtype} is not supported: scoring does not apply quantisation scales")
    return reasons
