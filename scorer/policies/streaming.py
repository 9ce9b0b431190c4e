"""Attention sinks and a recent window."""

from dataclasses import dataclass

import torch

from scorer.policies.base import Observation, Rows


@dataclass(frozen=True)
class StreamingPolicy:
    """StreamingLLM (arXiv 2309.17453) at the end of prefill: the later, the better; selection adds the sinks."""

    @property
    def rows(self) -> Rows:
        return Rows()

    def score(self, seen: Observation) -> torch.Tensor:
        recency = torch.arange(seen.prompt_tokens, dtype=torch.float32, device=seen.device)
        return recency.expand(seen.layers, seen.kv_heads, -1)
