"""What a request hears that a quota does not let in."""

from collections.abc import Iterator
from dataclasses import dataclass

from router.admission.base import Claim
from services.shared.errors import ResourceExhausted

# for a place that another request holds
HELD_SECONDS = 1.0


@dataclass(frozen=True)
class Refusal:
    """Which limit refuses, and how long until it may not; None when no waiting helps."""

    reason: str
    limit: int
    wait_seconds: float | None


def limited(claim: Claim) -> bool:
    """Whether the tenant has any quota."""
    return any(most is not None for _, most, _ in _needs(claim))


def hopeless(claim: Claim) -> Refusal | None:
    """The limit that the request alone is above, if there is one."""
    for reason, most, need in _needs(claim):
        if most is not None and need > most:
            return Refusal(reason, most, None)
    return None


def refused(claim: Claim, refusal: Refusal) -> ResourceExhausted:
    """The error, with RetryInfo when waiting can help."""
    name = refusal.reason.lower().replace("_", " ")
    helps = "ask for less" if refusal.wait_seconds is None else f"try again in {refusal.wait_seconds:.1f} s"
    return ResourceExhausted(
        f"tenant {claim.tenant!r} may have {refusal.limit} {name}, which this request would exceed; {helps}",
        refusal.reason,
        subject=f"tenants/{claim.tenant}",
        retry_after_seconds=refusal.wait_seconds,
        tenant=claim.tenant,
        limit=str(refusal.limit),
    )


def _needs(claim: Claim) -> Iterator[tuple[str, int | None, int]]:
    limits = claim.limits
    yield "REQUESTS_PER_MINUTE", limits.requests_per_minute, 1
    yield "TOKENS_PER_MINUTE", limits.tokens_per_minute, claim.tokens
    yield "CONCURRENT_REQUESTS", limits.max_concurrent_requests, 1
    yield "RESIDENT_KV_TOKENS", limits.max_resident_kv_tokens, claim.least_kv_tokens
