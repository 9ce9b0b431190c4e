"""The presses by name, and what they are made with. This file needs no kvpress."""

from __future__ import annotations

import importlib.util
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# scores alone, and each a peer by itself: no wrappers, no downloaded weights
PRESSES = {
    "SnapKV": "kvpress:SnapKVPress",
    "PyramidKV": "kvpress:PyramidKVPress",
    "TOVA": "kvpress:TOVAPress",
    "ExpectedAttention": "kvpress:ExpectedAttentionPress",
    "KeyDiff": "kvpress:KeyDiffPress",
    "Knorm": "kvpress:KnormPress",
    "StreamingLLM": "kvpress:StreamingLLMPress",
}
# kvpress' own defaults
WINDOW_TOKENS, PYRAMID_BETA = 64, 20


class CannotPress(ValueError):
    """Presses that cannot be run. The message says why."""


@dataclass(frozen=True)
class Case:
    """A press and the KV tokens per layer and KV head that it may keep, on average over layers."""

    press: str
    budget: str
    budget_tokens: int

    @property
    def method(self) -> str:
        """The name in results."""
        return f"kvpress {self.press}"


def require_kvpress() -> None:
    """Raises CannotPress where kvpress is not installed."""
    if importlib.util.find_spec("kvpress") is None:
        raise CannotPress("kvpress: is not installed here; `make eval-peers` makes the environment that has it")


def known(names: Sequence[str]) -> tuple[str, ...]:
    """`names`, each once, or all presses. Raises CannotPress for a name that is none."""
    unknown = [name for name in names if name not in PRESSES]
    if unknown:
        raise CannotPress(f"press: {', '.join(unknown)}: not known; choose from {', '.join(PRESSES)}")
    return tuple(dict.fromkeys(names or PRESSES))


def compression_ratio(prompt_tokens: int, budget_tokens: int) -> float:
    """The share to remove, at which `int(prompt_tokens * (1 - ratio))` is the budget in spite of rounding."""
    return 1 - (budget_tokens + 0.01) / prompt_tokens


def parameters(press: str, budget_tokens: int) -> dict[str, Any]:
    """What differs from the defaults of kvpress: windows that leave no room for a choice are made smaller."""
    if press == "SnapKV" and budget_tokens <= WINDOW_TOKENS:
        return {"window_size": max(1, budget_tokens // 2)}
    if press == "PyramidKV":
        # the last layer keeps 1 / beta of the budget; where the window is larger, kvpress silently runs SnapKV
        return {"window_size": max(1, min(WINDOW_TOKENS, budget_tokens // PYRAMID_BETA))}
    return {}


def make_press(case: Case, prompt_tokens: int) -> Any:
    """The press of kvpress for prompts of that length."""
    press = pkgutil.resolve_name(PRESSES[case.press])
    ratio = compression_ratio(prompt_tokens, case.budget_tokens)
    return press(compression_ratio=ratio, **parameters(case.press, case.budget_tokens))
