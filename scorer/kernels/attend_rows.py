"""Attention of a few query rows over a prompt, with the mass that each prompt token received."""

import torch


def attend_rows(
    queries: torch.Tensor,
    prompt_keys: torch.Tensor,
    prompt_values: torch.Tensor,
    row_keys: torch.Tensor,
    row_values: torch.Tensor,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of W rows over T prompt tokens and, causally, over the rows themselves.

    queries [W, Hq, D], prompt_keys and prompt_values [T, Hkv, D], row_keys and row_values [W, Hkv, D], any float dtype
    -> output [W, Hq, D] in the dtype of the queries, mass [Hkv, T + W] float32: the probability of each key, mean
    over the rows and over the query heads of the group, so that each head's mass sums to 1.
    """
    rows, query_heads, head_dim = queries.shape
    kv_heads, tokens = prompt_keys.shape[1], prompt_keys.shape[0]
    group = query_heads // kv_heads
    keys = torch.cat([prompt_keys, row_keys])  # [T + W, Hkv, D]
    values = torch.cat([prompt_values, row_values])
    grouped = queries.view(rows, kv_heads, group, head_dim).permute(1, 2, 0, 3)  # [Hkv, G, W, D]
    logits = grouped.reshape(kv_heads, group * rows, head_dim).float() @ keys.float().permute(1, 2, 0)
    logits = (logits * scale).view(kv_heads, group, rows, tokens + rows)
    later = torch.ones(rows, rows, dtype=torch.bool, device=queries.device).triu(1)
    logits[..., tokens:].masked_fill_(later, float("-inf"))
    probabilities = logits.softmax(dim=-1).view(kv_heads, group * rows, tokens + rows)
    output = probabilities.to(values.dtype) @ values.permute(1, 0, 2)  # [Hkv, G * W, D]
    output = output.view(kv_heads, group, rows, head_dim).permute(2, 0, 1, 3).reshape(queries.shape)
    return output.to(queries.dtype), probabilities.mean(dim=1)
