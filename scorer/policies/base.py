"""The contract of scoring policies, and the only place where their shapes are defined.

L layers, Hkv KV heads, T prompt tokens, W query rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Rows:
    """The query rows that a policy wants to look with. No rows means that no scoring pass is run."""

    window: int = 0  # the last prompt tokens


@dataclass(frozen=True)
class Observation:
    """What the scoring pass saw of one prompt.

    `window_mass` [L, Hkv, T] float32: the attention that each prompt token received from the window rows, mean over
    the rows and the query heads of the group; each head's mass sums to 1. None when no window rows were asked for.
    """

    layers: int
    kv_heads: int
    prompt_tokens: int
    device: torch.device
    window_mass: torch.Tensor | None = None


class Policy(Protocol):
    """Scores prompt tokens; knows no budget. Its dataclass fields are its parameters, in the paper's words."""

    @property
    def rows(self) -> Rows: ...

    def score(self, seen: Observation) -> torch.Tensor:
        """Scores [L, Hkv, T] float32, finite; higher is kept."""
        ...
