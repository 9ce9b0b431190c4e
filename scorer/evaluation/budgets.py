"""Budgets as people write them: a share of the prompt or a number of tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass


class BadBudget(ValueError):
    """A budget that nobody can keep. The message says why."""


@dataclass(frozen=True)
class Budget:
    """KV tokens kept per layer and KV head: `20%` of the prompt, or `128`."""

    label: str

    def __post_init__(self) -> None:
        share = self.label.removesuffix("%")
        try:
            number = float(share) if share != self.label else int(share)
        except ValueError as error:
            raise BadBudget(f"budget: {self.label!r} is neither a share like 20% nor a number of tokens") from error
        if not 0 < number < (100 if share != self.label else math.inf):
            raise BadBudget(f"budget: {self.label!r} must be above 0 and, as a share, below 100%")

    def tokens(self, prompt_tokens: int, always_kept: int) -> int:
        """Tokens to keep of a prompt, rounded up; never fewer than are always kept, and perhaps more than there are."""
        if not self.label.endswith("%"):
            return max(int(self.label), always_kept)
        return max(math.ceil(float(self.label[:-1]) / 100 * prompt_tokens - 1e-9), always_kept)
