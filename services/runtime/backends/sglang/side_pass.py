"""A forward of a few rows through the model, beside SGLang's own batches.

The rows read K/V straight from the paged pool under our attention, so chunked prefill, prefix hits, the serving
attention backend and sampling do not matter. Rows of several requests share one pass and do not see each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sglang.srt.layers.attention.base_attn_backend import AttentionBackend
from sglang.srt.model_executor.forward_batch_info import ForwardBatch, ForwardMode
from sglang.srt.model_executor.forward_context import ForwardContext, forward_context

from scorer.kernels.attend_rows import attend_rows
from scorer.kernels.rows import row_layout


@dataclass(frozen=True)
class RowGroup:
    """Rows of one request: tokens at `first_position` onwards that attend to `context` and to earlier rows.

    context [T] int64 slots. target [rows] int64 slots that receive the rows' K/V; None to leave the pool as it is.
    """

    token_ids: Sequence[int]
    first_position: int
    context: torch.Tensor
    target: torch.Tensor | None = None


class SideAttention(AttentionBackend):
    """Attention of row groups, all in one call; collects the mass per layer, each [Hkv, sum(T + rows)] float32."""

    def __init__(self, serving: AttentionBackend, groups: Sequence[RowGroup]) -> None:
        super().__init__()
        self.token_to_kv_pool = serving.token_to_kv_pool
        self.req_to_token_pool = serving.req_to_token_pool
        self.groups = groups
        self.layout = row_layout([group.context for group in groups], [len(group.token_ids) for group in groups])
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
def run_side_pass(runner: Any, groups: Sequence[RowGroup]) -> list[torch.Tensor]:
    """Run the groups through all layers in one pass. Returns each group's mass [L, Hkv, T + rows] float32."""
    device = runner.device
    ids = [token for group in groups for token in group.token_ids]
    positions = [group.first_position + i for group in groups for i in range(len(group.token_ids))]
    lengths = [len(group.context) + len(group.token_ids) for group in groups]
    attention = SideAttention(runner.attn_backend, groups)
    batch = ForwardBatch(
        forward_mode=ForwardMode.EXTEND,
        batch_size=len(groups),
        input_ids=torch.tensor(ids, dtype=torch.int64, device=device),
        req_pool_indices=torch.zeros(len(groups), dtype=torch.int64, device=device),
        seq_lens=torch.tensor(lengths, dtype=torch.int64, device=device),
        out_cache_loc=None,
        seq_lens_sum=sum(lengths),
        positions=torch.tensor(positions, dtype=torch.int64, device=device),
    )
    batch.extend_num_tokens = len(ids)
    with forward_context(ForwardContext(attn_backend=attention), forward_batch=batch):
        runner.model.model(batch.input_ids, batch.positions, batch)
    return list(torch.stack(attention.mass).split(attention.layout.mass_sizes, dim=-1))
