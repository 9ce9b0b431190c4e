"""What a budget rule is asked, and what the rules together answer."""

from dataclasses import dataclass, field
from typing import Protocol

from router.budgets.limits import Limits

# the policy that evicts nothing
FULL = "full"


@dataclass(frozen=True)
class Slo:
    """How fast the answer is to come, in seconds; None where nothing is asked."""

    ttft_seconds: float | None = None
    tpot_seconds: float | None = None


@dataclass(frozen=True)
class ReplicaView:
    """The replica that was picked, as it is now, and what its latency model says of it.

    Slots are KV tokens. A step of decoding takes `tpot_base_seconds` and `tpot_token_seconds` for each resident token;
    `ttft_seconds` is what this prompt would wait for its first token, queue included.
    """

    total_slots: int
    free_slots: int
    ttft_seconds: float
    tpot_base_seconds: float
    tpot_token_seconds: float

    @property
    def resident_tokens(self) -> int:
        """KV tokens of requests that run there."""
        return self.total_slots - self.free_slots


@dataclass(frozen=True)
class BudgetRequest:
    """What a rule may look at. At most one of `hint_budget_tokens` and `hint_keep_ratio` is set.

    `replica` is None where none was picked, as when a decision is only explained, and `granted_kv_tokens`, of prompt
    and answer together, where the tenant has no quota of resident tokens.
    """

    prompt_tokens: int
    new_tokens: int = 128
    limits: Limits = field(default_factory=Limits)
    hint_policy: str = ""
    hint_budget_tokens: int | None = None
    hint_keep_ratio: float | None = None
    hint_min_retained_mass: float | None = None
    slo: Slo = field(default_factory=Slo)
    replica: ReplicaView | None = None
    granted_kv_tokens: int | None = None

    @property
    def hinted(self) -> bool:
        """Whether the client asked for a budget of its own; policy `full` asks for an unlimited one."""
        return self.hint_policy == FULL or self.hint_budget_tokens is not None or self.hint_keep_ratio is not None

    @property
    def hint_tokens(self) -> int | None:
        """What the client asked for, in tokens; None without a hint."""
        if self.hint_keep_ratio is not None:
            return max(1, int(self.hint_keep_ratio * self.prompt_tokens))
        return self.hint_budget_tokens


@dataclass(frozen=True)
class Budget:
    """KV tokens to keep per layer and KV head, the name of the rule that decided, and why.

    With `min_retained_mass` the runtime may keep fewer: as many as hold that share of the attention.
    """

    tokens: int
    rule: str
    reasons: tuple[str, ...]
    min_retained_mass: float | None = None


class NoBudget(Exception):
    """No budget above the floor meets the SLO, and the tenant would rather have none. The message says why."""


class BudgetRule(Protocol):
    """Caps the budget of a request. Rules know nothing of each other: the smallest cap wins."""

    def cap(self, request: BudgetRequest) -> int | None:
        """The most KV tokens that this rule allows, 0 when no budget would do; None when it has no say."""
        ...
