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
    """The query rows that a policy wants to look with, in one pass. None of them means that no pass is run."""

    window: int = 0  # the last prompt tokens, so many
    lookahead: bool = False  # the adapter's learned rows
    first_token: bool = False  # the first sampled token's row

    def __bool__(self) -> bool:
        return bool(self.window or self.lookahead or self.first_token)


@dataclass(frozen=True)
class Observation:
    """What the scoring pass saw of one prompt.

    Each mass is [L, Hkv, T] float32: the attention that each prompt token received from the rows of one kind, mean over
    the rows and the query heads of the group; None when the policy did not ask for that kind. Rows behind the prompt
    also attend to themselves, so their mass on the prompt sums to less than 1. `fusion_weights` [L, Hkv, components]
    are the adapter's, for policies that ask for lookahead rows.
    """

    layers: int
    kv_heads: int
    prompt_tokens: int
    device: torch.device
    window_mass: torch.Tensor | None = None
    lookahead_mass: torch.Tensor | None = None
    first_token_mass: torch.Tensor | None = None
    fusion_weights: torch.Tensor | None = None


class Policy(Protocol):
    """Scores prompt tokens; knows no budget. Its dataclass fields are its parameters, in the paper's words."""

    @property
    def rows(self) -> Rows: ...

    def score(self, seen: Observation) -> torch.Tensor:
        """Scores [L, Hkv, T] float32, finite; higher is kept."""
        ...


def observed(name: str, tensor: torch.Tensor | None) -> torch.Tensor:
    """`tensor`, a field of an observation. Raises ValueError when the pass was run without the policy's rows."""
    if tensor is None:
        raise ValueError(f"{name}: is missing; run the scoring pass with this policy's rows")
    return tensor


def check_pool_width(width: int) -> None:
    """Raises ValueError unless `width` tokens have one in the middle."""
    if width < 1 or width % 2 == 0:
        raise ValueError(f"pool_width: {width} must be odd and positive")


def check_window_tokens(tokens: int) -> None:
    """Raises ValueError for a window without rows."""
    if tokens < 1:
        raise ValueError(f"window_tokens: {tokens} must be at least 1")
