"""The default budget: a share of the prompt."""

from dataclasses import dataclass

from router.budgets.base import BudgetRequest


@dataclass(frozen=True)
class PromptLengthRule:
    """Keeps a share of a long prompt and all of a short one. A default, so a hint of the client replaces it."""

    keep_ratio: float = 0.25
    shortest_budget_tokens: int = 2048

    def __post_init__(self) -> None:
        if not 0 < self.keep_ratio <= 1:
            raise ValueError(f"keep_ratio is {self.keep_ratio}; set it above 0 and to 1 at most")
        if self.shortest_budget_tokens < 1:
            raise ValueError(f"shortest_budget_tokens is {self.shortest_budget_tokens}; set it to 1 or more")

    def cap(self, request: BudgetRequest) -> int | None:
        """`keep_ratio` of the prompt, but `shortest_budget_tokens` at least; None when the client has a wish."""
        if request.hinted:
            return None
        return max(self.shortest_budget_tokens, int(self.keep_ratio * request.prompt_tokens))
