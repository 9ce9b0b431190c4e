"""Moving the kept K/V of a prompt into a few slots of the paged pool."""

from collections.abc import Sequence

import torch


def compact_kv(buffers: Sequence[torch.Tensor], source: torch.Tensor, kept: torch.Tensor, target: torch.Tensor) -> None:
    """Copy, for each head, the kept tokens of one layer into the same target slots, in place.

    buffers: K and V of one layer, each [slots, Hkv, D]. source [T] int64: the slot of each prompt token. kept [Hkv, K]
    int64: token positions by head. target [K] int64: slot i gets each head's i-th kept token. Source and target may
    overlap: a buffer is gathered in full before it is written. Scratch is [Hkv, K, D] at a time.
    """
    heads = torch.arange(kept.shape[0], device=kept.device)[:, None]
    from_slots = source[kept]  # [Hkv, K]
    for buffer in buffers:
        buffer[target] = buffer[from_slots, heads].transpose(0, 1)
