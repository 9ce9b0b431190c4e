"""What a tenant may have: every limit, after inheritance. Budgets are KV tokens per layer and KV head."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

ANY_ALIAS = "*"
DEFAULT_ALIAS = "default"


class OnConflict(StrEnum):
    """What happens when no budget above the floor meets the SLO."""

    FULL_KV = "full_kv"  # as if there were no SLO
    DEGRADE = "degrade"  # the floor
    REJECT = "reject"


class Priority(IntEnum):
    """A lower class waits while a higher one does, but for a small share that it is always served."""

    BULK = 1
    DEFAULT = 2
    INTERACTIVE = 3


@dataclass(frozen=True)
class LengthBucket:
    """What prompts up to `max_prompt_tokens` keep: one of both."""

    max_prompt_tokens: int
    budget_tokens: int | None = None
    keep_ratio: float | None = None

    def tokens(self, prompt_tokens: int) -> int:
        """The budget of a prompt in this bucket."""
        if self.budget_tokens is not None:
            return self.budget_tokens
        return max(1, int((self.keep_ratio or 0.0) * prompt_tokens))


@dataclass(frozen=True)
class Limits:
    """The built-in ones are the defaults. None is no limit, or no SLO."""

    min_budget_tokens: int = 64
    min_keep_ratio: float = 0.0
    max_budget_tokens: int | None = None
    max_keep_ratio: float = 1.0
    default_keep_ratio: float = 0.25
    # ascending; short prompts are kept whole
    length_buckets: tuple[LengthBucket, ...] = (LengthBucket(2048, keep_ratio=1.0),)
    min_retained_mass: float | None = None
    ttft_seconds: float | None = None
    tpot_seconds: float | None = None
    on_conflict: OnConflict = OnConflict.DEGRADE
    priority: Priority = Priority.DEFAULT
    weight: float = 1.0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent_requests: int | None = None
    max_resident_kv_tokens: int | None = None
    adapter_aliases: tuple[str, ...] = (ANY_ALIAS,)

    def floor_tokens(self, prompt_tokens: int) -> int:
        """No budget of a prompt of this length is smaller; never more than the prompt itself."""
        return min(max(1, self.min_budget_tokens, int(self.min_keep_ratio * prompt_tokens)), prompt_tokens)

    @property
    def shared_aliases(self) -> tuple[str, ...]:
        """Which aliases may score requests by their share of the default one, which always may; empty means all."""
        return () if ANY_ALIAS in self.adapter_aliases else (DEFAULT_ALIAS, *self.adapter_aliases)

    def allows_alias(self, alias: str) -> bool:
        """Whether requests may name this adapter alias; none is always allowed."""
        return not alias or ANY_ALIAS in self.adapter_aliases or alias in self.adapter_aliases
