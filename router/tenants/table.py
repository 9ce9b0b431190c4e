"""The policies that this router goes by: the newest that could be read, wherever they came from."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from router.budgets.limits import Limits
from router.tenants.inheritance import Effective, effective, resource_name
from router.tenants.parsing import parse_policy
from router.tenants.policy import CLUSTER, TenantPolicy
from router.tenants.store import Snapshot, StoredPolicy
from services.shared.errors import FailedPrecondition, Unavailable

# the store, what it said before it went away, the operator's file, and nothing but the defaults
REDIS, LAST_KNOWN, SEED, BUILTIN = "redis", "last_known", "seed", "builtin"
# effective limits that are kept ready, of one state
MAX_REMEMBERED = 4096

logger = structlog.get_logger()


@dataclass(frozen=True)
class PolicyState:
    """All policies as of one write. Of the tenants in `damaged` not one version could be read."""

    generation: int = 0
    policies: Mapping[str, TenantPolicy] = field(default_factory=dict)
    source: str = BUILTIN
    damaged: frozenset[str] = frozenset()
    # what is wrong with single policies
    problem: str = ""


class PolicyTable:
    """Answers from memory. It is ready once it has a state; a state is never given up for none."""

    def __init__(self, builtin: Limits, fresh_seconds: float) -> None:
        """The state counts as the store's for `fresh_seconds` after the store last said so."""
        self.builtin = builtin
        self._fresh_seconds = fresh_seconds
        self._state: PolicyState | None = None
        self._confirmed = time.monotonic()
        self._away = "no state of the tenants' policies so far"
        self._remembered: dict[tuple[str, str], Effective] = {}

    @property
    def ready(self) -> bool:
        """Whether requests can be decided."""
        return self._state is not None and CLUSTER not in self._state.damaged

    @property
    def generation(self) -> int:
        """Of the state that requests are decided by."""
        return self._state.generation if self._state else 0

    @property
    def source(self) -> str:
        """Where it came from: redis, last_known, seed or builtin."""
        if self._state is None:
            return BUILTIN
        stale = self._state.source == REDIS and self.age_seconds > self._fresh_seconds
        return LAST_KNOWN if stale else self._state.source

    @property
    def age_seconds(self) -> float:
        """Since the store last said that this is its state; since the start, where it never did."""
        return time.monotonic() - self._confirmed

    @property
    def problem(self) -> str:
        """Why the state is not the store's newest; empty when it is."""
        damaged = self._state.problem if self._state else ""
        aged = f"{self._away}; as of {self.age_seconds:.0f} s ago" if self._away and self._state else self._away
        return "; ".join(part for part in (aged, damaged) if part)

    @property
    def policies(self) -> Mapping[str, TenantPolicy]:
        """By tenant, those for all by `cluster`."""
        return self._state.policies if self._state else {}

    def effective(self, tenant: str, model: str) -> Effective:
        """The limits of a tenant for a model. Raises Unavailable or FailedPrecondition without a good policy."""
        if (found := self._remembered.get((tenant, model))) is not None:
            return found
        state = self._state
        if state is None:
            raise Unavailable(self._away)
        for owner in (CLUSTER, tenant):
            if owner in state.damaged:
                sentence = f"{resource_name(owner)}: cannot be read, and there is no version before it; {state.problem}"
                raise FailedPrecondition(sentence, "POLICY_DAMAGED")
        found = effective(self.builtin, state.policies, tenant, model)
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[tenant, model] = found
        return found

    def take(self, state: PolicyState) -> bool:
        """Go by this state from now on. Whether it is another one."""
        if state == self._state:
            return False
        if state.problem and state.problem != (self._state.problem if self._state else ""):
            logger.error("budget policies cannot be read", problem=state.problem)
        self._state = state
        self._remembered.clear()
        logger.info("budget policies", generation=state.generation, source=state.source, count=len(state.policies))
        return True

    def confirm(self) -> None:
        """The store has just said that this is its state."""
        if self._away:
            logger.info("budget policies are the store's", generation=self.generation)
        self._confirmed = time.monotonic()
        self._away = ""

    def away(self, reason: str) -> None:
        """The store does not say what its state is."""
        if reason != self._away:
            logger.warning("budget policies cannot be followed", reason=reason)
        self._away = reason


def state_of(snapshot: Snapshot, known: Mapping[str, TenantPolicy]) -> PolicyState:
    """What a store holds. A policy that cannot be read stays as it is in `known`."""
    policies: dict[str, TenantPolicy] = {}
    damaged, problems = set(), []
    for stored in snapshot.policies:
        try:
            policies[stored.tenant] = parse_policy(stored)
        except ValueError as error:
            problems.append(_kept(stored, known, error))
            if stored.tenant in known:
                policies[stored.tenant] = known[stored.tenant]
            else:
                damaged.add(stored.tenant)
    return PolicyState(snapshot.generation, policies, REDIS, frozenset(damaged), "; ".join(problems))


def _kept(stored: StoredPolicy, known: Mapping[str, TenantPolicy], error: ValueError) -> str:
    then = "the version before it is used" if stored.tenant in known else "its requests are refused"
    return f"{resource_name(stored.tenant)}: {error}; {then}, write it anew"
