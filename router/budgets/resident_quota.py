"""What the tenant's quota of resident KV tokens has left."""

from dataclasses import dataclass

from router.budgets.base import BudgetRequest


@dataclass(frozen=True)
class ResidentQuotaRule:
    """Keeps what was granted to the request beside the tenant's others, which hold the rest of the quota."""

    def cap(self, request: BudgetRequest) -> int | None:
        """What is left for the prompt beside the longest answer; None without a quota."""
        if request.granted_kv_tokens is None:
            return None
        return max(0, request.granted_kv_tokens - request.new_tokens)
