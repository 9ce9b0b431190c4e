"""What a tenant's quota of resident KV tokens has left."""

from dataclasses import dataclass

from router.budgets.base import BudgetRequest


@dataclass(frozen=True)
class ResidentQuotaRule:
    """The rest of the quota, after the tokens of the answer."""

    def cap(self, request: BudgetRequest) -> int | None:
        """None without a quota."""
        if request.granted_kv_tokens is None:
            return None
        return max(0, request.granted_kv_tokens - request.new_tokens)
