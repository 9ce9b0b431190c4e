"""What the prompt's last token, run again after eviction, says comes first; it sees itself even if it was evicted."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from scorer.evaluation.caches import Caches, Context
from scorer.evaluation.forward import append_rows, logits
from scorer.evaluation.peers.pressed import Pressed
from scorer.training.attend import Heads
from scorer.training.frozen_model import FrozenModel


class SelfSeeing(Caches):
    """Contexts of one prompt for one row, its last token's: it sees its own slot in the heads that lack that token."""

    def __init__(self, contexts: Sequence[Context], whole: Context) -> None:
        super().__init__(contexts, room=1)
        lacking = [lacks_last(context, whole) for context in contexts]
        self._lacking = torch.stack(lacking, dim=1)  # [L, M, Hkv]

    def attend(self, layer: int, heads: Heads, mask: torch.Tensor) -> torch.Tensor:
        """As every cache does; `mask` [M, 1, 1, S + 1] is cut for each KV head."""
        lacking = self._lacking[layer, :, :, None, None]
        before = mask[..., :-1].expand(-1, lacking.shape[1], -1, -1)
        return super().attend(layer, heads, torch.cat([before, lacking], dim=-1))


def lacks_last(context: Context, whole: Context) -> torch.Tensor:
    """Whether `context` evicted the last token of `whole`, [L, Hkv] bool."""
    pairs = zip(context.keys, whole.keys, strict=True)
    return torch.stack([~(kept == every[:, -1:]).all(dim=-1).any(dim=-1) for kept, every in pairs])


@torch.no_grad()
def replayed_logits(frozen: FrozenModel, pressed: Pressed, contexts: Sequence[Context]) -> torch.Tensor:
    """[M, V] float32 of the first token after the prompt, behind each of M contexts of it."""
    ids = pressed.sample.ids[-1:].expand(len(contexts), 1)
    positions = torch.full_like(ids, pressed.sample.tokens - 1)
    hidden = append_rows(frozen, SelfSeeing(contexts, pressed.whole), ids, positions)
    return logits(frozen, hidden[:, 0]).float()
