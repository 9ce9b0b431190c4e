"""What this router has granted itself, so that it can go on within its share while Redis is gone."""

import time
from dataclasses import dataclass, field

from router.admission.base import Claim
from router.admission.refusals import HELD_SECONDS, Refusal

MINUTE_SECONDS = 60.0


@dataclass(frozen=True)
class Held:
    """One lease; `tokens` are those charged for it, 0 where there was no limit."""

    tokens: int
    kv_tokens: int


@dataclass
class Account:
    """A tenant's leases, and what it used of the minute as of `at`."""

    held: dict[str, Held] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)
    at: float = 0.0


class Ledger:
    """The leases of this router by tenant."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}

    def enter(self, claim: Claim, lease: str, kv_tokens: int) -> None:
        """A lease that was granted, by whomever."""
        account = self._drained(claim)
        charged = 0 if claim.limits.tokens_per_minute is None else claim.tokens
        account.held[lease] = Held(charged, kv_tokens)
        for name, amount in (("REQUESTS", 1), ("TOKENS", claim.tokens)):
            account.used[name] = account.used.get(name, 0.0) + amount

    def reserve(self, claim: Claim, lease: str, routers: int) -> int | Refusal:
        """The KV tokens granted out of this router's share, entered; or why not. One request alone always fits."""
        share = max(1, routers)
        account = self._drained(claim, share)
        refusal = _rate_refusal(claim, account, share)
        most = claim.limits.max_concurrent_requests
        if refusal is None and most is not None and len(account.held) >= max(1, most // share):
            refusal = Refusal("CONCURRENT_REQUESTS", most, HELD_SECONDS)
        granted, most = claim.kv_tokens, claim.limits.max_resident_kv_tokens
        if most is not None:
            left = most // share - sum(held.kv_tokens for held in account.held.values())
            granted = min(granted, left if account.held else max(left, claim.least_kv_tokens))
            if refusal is None and granted < claim.least_kv_tokens:
                refusal = Refusal("RESIDENT_KV_TOKENS", most, HELD_SECONDS)
        if refusal is None:
            self.enter(claim, lease, granted)
        return refusal or granted

    def leave(self, tenant: str, lease: str, used_tokens: int | None) -> None:
        """A lease is over, and used so many tokens, or all that it claimed."""
        account = self.accounts.get(tenant)
        held = account.held.pop(lease, None) if account else None
        if account and held and held.tokens and used_tokens is not None:
            account.used["TOKENS"] = max(0.0, account.used["TOKENS"] + used_tokens - held.tokens)

    def forget_idle(self) -> None:
        """Tenants that hold nothing and used nothing for a minute."""
        old = time.monotonic() - MINUTE_SECONDS
        for tenant in [name for name, account in self.accounts.items() if not account.held and account.at < old]:
            del self.accounts[tenant]

    def _drained(self, claim: Claim, share: int = 1) -> Account:
        """As of now; while Redis is gone what was used flows off at this router's share of the rate."""
        account, now = self.accounts.setdefault(claim.tenant, Account()), time.monotonic()
        for name, most in _rates(claim).items():
            used = min(account.used.get(name, 0.0), most or 0)
            account.used[name] = max(0.0, used - (now - account.at) * (most or 0) / share / MINUTE_SECONDS)
        account.at = now
        return account


def _rate_refusal(claim: Claim, account: Account, share: int) -> Refusal | None:
    for name, most in _rates(claim).items():
        if most is None:
            continue
        need = 1 if name == "REQUESTS" else claim.tokens
        # what is more than the share has its turn when nothing else is used
        over = account.used[name] + need - max(need, most / share)
        if over > 0:
            return Refusal(f"{name}_PER_MINUTE", most, over * MINUTE_SECONDS * share / most)
    return None


def _rates(claim: Claim) -> dict[str, int | None]:
    return {"REQUESTS": claim.limits.requests_per_minute, "TOKENS": claim.limits.tokens_per_minute}
