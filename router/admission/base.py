"""What admission is asked, and what it answers."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from router.budgets.limits import Limits


@dataclass(frozen=True)
class Claim:
    """What a request will use at most. KV tokens are kept prompt and new tokens together.

    The tenant's quota of resident KV tokens may grant fewer than `kv_tokens`, but no fewer than `least_kv_tokens`.
    """

    tenant: str
    limits: Limits
    # of prompt and answer, for the rate
    tokens: int
    kv_tokens: int
    least_kv_tokens: int


class Lease(Protocol):
    """What was granted, for as long as the request runs."""

    # None without a quota
    granted_kv_tokens: int | None
    # of prompt and answer, set before the lease ends; None for as many as were claimed
    used_tokens: int | None


class Quotas(Protocol):
    """Requests and tokens per minute, concurrent requests and resident KV tokens of each tenant, over all routers."""

    def hold(self, claim: Claim) -> AbstractAsyncContextManager[Lease]:
        """A lease until the end of the block. Raises ResourceExhausted, with RetryInfo when waiting can help."""
        ...
