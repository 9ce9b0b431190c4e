"""What a budget rule is asked, and what the rules together answer."""

from dataclasses import dataclass
from typing import Protocol

# the policy that evicts nothing
FULL = "full"


@dataclass(frozen=True)
class BudgetRequest:
    """What a rule may look at. At most one of `hint_budget_tokens` and `hint_keep_ratio` is set."""

    prompt_tokens: int
    tenant: str
    hint_policy: str = ""
    hint_budget_tokens: int | None = None
    hint_keep_ratio: float | None = None

    @property
    def hinted(self) -> bool:
        """Whether the client asked for a budget of its own; policy `full` asks for an unlimited one."""
        return self.hint_policy == FULL or self.hint_budget_tokens is not None or self.hint_keep_ratio is not None


@dataclass(frozen=True)
class Budget:
    """KV tokens to keep per layer and KV head, the name of the rule that decided, and why."""

    tokens: int
    rule: str
    reasons: tuple[str, ...]


class BudgetRule(Protocol):
    """Caps the budget of a request. Rules know nothing of each other: the smallest cap wins."""

    def cap(self, request: BudgetRequest) -> int | None:
        """The most KV tokens that this rule allows, at least 1; None when it has no say."""
        ...
