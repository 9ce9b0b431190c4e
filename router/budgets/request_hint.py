"""The budget that the client asked for."""

from dataclasses import dataclass

from router.budgets.base import FULL, BudgetRequest


@dataclass(frozen=True)
class RequestHintRule:
    """Takes the request's hint at its word, in tokens or as a ratio of the prompt."""

    def cap(self, request: BudgetRequest) -> int | None:
        """The hint in tokens; None without one, and for policy `full`, which wants no limit."""
        return None if request.hint_policy == FULL else request.hint_tokens
