"""The most that a tenant's requests may keep."""

from dataclasses import dataclass

from router.budgets.base import BudgetRequest


@dataclass(frozen=True)
class TenantCapRule:
    """The tenant's maximum, in tokens and as a ratio of the prompt; a hint cannot exceed it."""

    def cap(self, request: BudgetRequest) -> int | None:
        """The smaller of both; None when the tenant has neither."""
        limits = request.limits
        caps = [] if limits.max_budget_tokens is None else [limits.max_budget_tokens]
        if limits.max_keep_ratio < 1:
            caps.append(max(1, int(limits.max_keep_ratio * request.prompt_tokens)))
        return min(caps, default=None)
