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
    """Token ids [A] and [R] that may follow a prompt of `start` tokens, and the logits [V] of their first token."""

    start: int
    first_logits: torch.Tensor
    answer: torch.Tensor
    response: torch.Tensor


@dataclass(frozen=True)
class Predicted:
    """Logits float32 of each token of a continuation, for M caches: answer [M, A, V], response [M, R, V].

    The first token's are those of the whole prompt for every cache, since it is sampled before anything is evicted.
    """

    answer: torch.Tensor
    response: torch.Tensor


@torch.no_grad()
def predict(frozen: FrozenModel, contexts: Sequence[Context], text: Continuation) -> Predicted:
    """What the model expects behind each of `contexts`, all of the same prompt and the same length."""
    ids = torch.cat([text.answer[:-1], text.response[:-1]])
    sizes, batch = [len(text.answer) - 1, len(text.response) - 1], len(contexts)
    first = text.first_logits.expand(batch, 1, -1)
    if not len(ids):
        return Predicted(first, first)
    # both begin where the prompt ends, and neither sees the other
    positions = torch.cat([torch.arange(size, device=ids.device) for size in sizes]) + text.start
    among = torch.block_diag(*(torch.ones(size, size, device=ids.device).tril() for size in sizes)).bool()
    caches = Caches(contexts, room=len(ids))
    hidden = append_rows(frozen, caches, ids.expand(batch, -1), positions.expand(batch, -1), among)
    answer, response = logits(frozen, hidden).float().split(sizes, dim=1)
    return Predicted(torch.cat([first, answer], dim=1), torch.cat([first, response], dim=1))
