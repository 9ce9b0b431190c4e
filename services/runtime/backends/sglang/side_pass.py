"""A forward of a few rows through the model, beside SGLang's own batches.

The rows read K/V straight from the paged pool under our attention, so chunked prefill, prefix hits, the serving
attention backend and sampling do not matter. Rows of several requests and kinds share one pass and do not see each
other.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from sglang.srt.layers.attention.base_attn_backend import AttentionBackend
from sglang.srt.model_executor.forward_batch_info import ForwardBatch, ForwardMode
from sglang.srt.model_executor.forward_context import ForwardContext, forward_context

from scorer.kernels.attend_rows import attend_rows
from scorer.kernels.lora_rows import rows_of
from scorer.kernels.rows import row_layout
from services.runtime.backends.sglang.adapter import LoadedAdapter
from services.runtime.backends.sglang.lora_hooks import lora_on_rows


@dataclass(frozen=True)
class RowGroup:
    """Rows of one request, at `first_position` onwards, that attend to `context` and to earlier rows of the group.

    embeddings [rows, hidden]. context [T] int64 slots. target [rows] int64 slots that receive the rows' K/V; None to
    leave the pool as it is. `adapted`: the pass's LoRA acts on these rows.
    """

    embeddings: torch.Tensor
    first_position: int
    context: torch.Tensor
    target: torch.Tensor | None = None
    adapted: bool = False


class SideAttention(AttentionBackend):
    """Attention of row groups, all in one call; collects the mass per layer, each [Hkv, sum(T + rows)] float32."""

    def __init__(self, serving: AttentionBackend, groups: Sequence[RowGroup]) -> None:
        super().__init__()
        self.token_to_kv_pool = serving.token_to_kv_pool
        self.req_to_token_pool = serving.req_to_token_pool
        self.groups = groups
        self.layout = row_layout([group.context for group in groups], [len(group.embeddings) for group in groups])
        self.mass: list[torch.Tensor] = []

    def init_forward_metadata(self, forward_batch: ForwardBatch) -> None:
        """Nothing to prepare."""

    def forward(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        layer: Any,
        forward_batch: ForwardBatch,
        save_kv_cache: bool = True,
        **kwargs: Any,
    ) -> torch.Tensor:
        keys = self.token_to_kv_pool.get_key_buffer(layer.layer_id)
        values = self.token_to_kv_pool.get_value_buffer(layer.layer_id)
        queries = q.view(-1, layer.tp_q_head_num, layer.qk_head_dim)
        output, mass = attend_rows(queries, k, v, keys, values, self.layout, layer.scaling)
        for group, group_k, group_v in zip(
            self.groups, k.split(self.layout.row_counts), v.split(self.layout.row_counts), strict=True
        ):
            if group.target is not None:
                keys[group.target] = group_k.to(keys.dtype)
                values[group.target] = group_v.to(values.dtype)
        self.mass.append(mass)
        return output.view(q.shape)


@torch.no_grad()
def embed(runner: Any, token_ids: Sequence[int] | torch.Tensor) -> torch.Tensor:
    """The model's input embeddings of tokens, [rows, hidden]. Ids that are on the device never leave it."""
    ids = token_ids if isinstance(token_ids, torch.Tensor) else _on_device(token_ids, runner.device)
    embeddings: torch.Tensor = runner.model.model.embed_tokens(ids.to(torch.int64))
    return embeddings


@torch.no_grad()
def run_side_pass(runner: Any, groups: Sequence[RowGroup], adapter: LoadedAdapter | None = None) -> list[torch.Tensor]:
    """Run the groups through all layers in one pass. Returns each group's mass [L, Hkv, T + rows] float32."""
    counts = [len(group.embeddings) for group in groups]
    lengths = [len(group.context) + count for group, count in zip(groups, counts, strict=True)]
    positions = [group.first_position + i for group, count in zip(groups, counts, strict=True) for i in range(count)]
    attention = SideAttention(runner.attn_backend, groups)
    batch = _batch(runner.device, lengths, positions)
    # a copy, which some norms write to
    embeddings = torch.cat([group.embeddings for group in groups])
    with (
        _lora(runner, groups, adapter),
        forward_context(ForwardContext(attn_backend=attention), forward_batch=batch),
    ):
        runner.model.model(batch.input_ids, batch.positions, batch, input_embeds=embeddings)
    return list(torch.stack(attention.mass).split(attention.layout.mass_sizes, dim=-1))


def _batch(device: Any, lengths: Sequence[int], positions: Sequence[int]) -> ForwardBatch:
    batch = ForwardBatch(
        forward_mode=ForwardMode.EXTEND,
        batch_size=len(lengths),
        # the rows are embedded already; only their number counts
        input_ids=torch.zeros(len(positions), dtype=torch.int64, device=device),
        req_pool_indices=torch.zeros(len(lengths), dtype=torch.int64, device=device),
        seq_lens=_on_device(lengths, device),
        out_cache_loc=None,
        seq_lens_sum=sum(lengths),
        positions=_on_device(positions, device),
    )
    batch.extend_num_tokens = len(positions)
    return batch


def _on_device(numbers: Sequence[int], device: Any) -> torch.Tensor:
    # made on the device, they would wait for the forward that is running there
    return torch.tensor(list(numbers), dtype=torch.int64).to(device, non_blocking=True)


def _lora(runner: Any, groups: Sequence[RowGroup], adapter: LoadedAdapter | None) -> Any:
    ends = list(accumulate(len(group.embeddings) for group in groups))
    ranges = [(end - len(group.embeddings), end) for group, end in zip(groups, ends, strict=True) if group.adapted]
    if adapter is None or not ranges:
        return nullcontext()
    rows = rows_of(ranges, torch.device(runner.device))
    return lora_on_rows(runner.model.model.layers, adapter.model, adapter.weights, rows)
