"""Teacher-forced answers behind several caches of one prompt, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scorer.evaluation.caches import Caches, Context
from scorer.evaluation.forward import append_rows, logits
from scorer.training.frozen_model import FrozenModel


@dataclass(frozen=True)
class Continuation:
    """Token ids [A] and [R] that may follow a prompt of `start` tokens, and the logits [V] of their first token.

    `last_token` is the prompt's, a scalar int64, to ask what would come first if it ran again after eviction.
    """

    start: int
    first_logits: torch.Tensor
    answer: torch.Tensor
    response: torch.Tensor
    last_token: torch.Tensor | None = None


@dataclass(frozen=True)
class Predicted:
    """Logits float32 of each token of a continuation, for M caches: answer [M, A, V], response [M, R, V].

    The first token's are those of the whole prompt for every cache, since it is sampled before anything is evicted.
    """

    answer: torch.Tensor
    response: torch.Tensor
    replayed: torch.Tensor | None = None  # [M, V], the first token's where the prompt's last token runs again

    @property
    def replayed_answer(self) -> torch.Tensor:
        """`answer` with the first token, too, behind the evicted cache. Raises ValueError when nothing was replayed."""
        if self.replayed is None:
            raise ValueError("last_token: is missing in the continuation, so nothing was replayed")
        return torch.cat([self.replayed[:, None], self.answer[:, 1:]], dim=1)


@torch.no_grad()
def predict(frozen: FrozenModel, contexts: Sequence[Context], text: Continuation) -> Predicted:
    """What the model expects behind each of `contexts`, all of the same prompt and the same length."""
    replay = [] if text.last_token is None else [text.last_token[None]]
    parts = [*replay, text.answer[:-1], text.response[:-1]]
    ids, sizes, batch = torch.cat(parts), [len(part) for part in parts], len(contexts)
    first = text.first_logits.expand(batch, 1, -1)
    if not len(ids):
        return Predicted(first, first)
    # all see the context and none sees another; the replayed token is in the context already
    starts = [text.start - 1] * len(replay) + [text.start] * 2
    places = [torch.arange(size, device=ids.device) + start for size, start in zip(sizes, starts, strict=True)]
    among = torch.block_diag(*(torch.ones(size, size, device=ids.device).tril() for size in sizes)).bool()
    among[: len(replay), : len(replay)] = False
    caches = Caches(contexts, room=len(ids))
    hidden = append_rows(frozen, caches, ids.expand(batch, -1), torch.cat(places).expand(batch, -1), among)
    *replayed, answer, response = logits(frozen, hidden).float().split(sizes, dim=1)
    return Predicted(
        torch.cat([first, answer], dim=1),
        torch.cat([first, response], dim=1),
        replayed[0][:, 0] if replayed else None,
    )
