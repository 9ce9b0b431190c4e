"""How a write comes about: checked against all policies as of one moment, and written only if that moment lasts."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from router.budgets.limits import Limits
from router.tenants.checks import Problem, alias_problems, contradictions, own_problems
from router.tenants.inheritance import resource_name
from router.tenants.masks import merged, replaces_all
from router.tenants.messages import violation
from router.tenants.parsing import parse_policy, readable
from router.tenants.policy import TenantPolicy
from router.tenants.store import (
    Change,
    NoPolicy,
    PolicyExists,
    PolicyStore,
    Snapshot,
    StaleEtag,
    StateMoved,
    StoredPolicy,
)
from services.shared.errors import FailedPrecondition, InvalidArgument

# each time another write came between
TRIES = 10
MAX_VIOLATIONS = 50

logger = structlog.get_logger()


@dataclass(frozen=True)
class Write:
    """What is asked. `policy` is None for a deletion, `etag` is empty for a creation."""

    tenant: str
    policy: TenantPolicy | None
    etag: str
    author: str
    action: str
    paths: Sequence[str] = ()
    validate_only: bool = False


class PolicyWriter:
    """Writes policies that fit the others. `aliases` are those that runtimes know, None while that is not known."""

    def __init__(self, builtin: Limits, aliases: Callable[[], Collection[str] | None]) -> None:
        self._builtin = builtin
        self._aliases = aliases

    async def write(self, store: PolicyStore, write: Write) -> tuple[StoredPolicy, TenantPolicy] | None:
        """What is stored, or would be; None after a deletion. Raises ServiceError and StoreError."""
        for _ in range(TRIES):
            snapshot = await store.snapshot()
            policy = self._checked(write, snapshot)
            if write.validate_only:
                return _as_if(write, policy, snapshot)
            content = None if policy is None else policy.to_json()
            change = Change(write.tenant, content, write.etag, snapshot.generation, write.author, write.action)
            try:
                stored = await store.apply(change)
            except StateMoved:
                continue
            # a write that was checked against a generation makes the next one
            told = {"action": write.action, "author": write.author, "name": resource_name(write.tenant)}
            logger.info("budget policy written", **told, generation=snapshot.generation + 1)
            return (stored, policy) if stored and policy else None
        raise StateMoved(f"{resource_name(write.tenant)}: other policies were written all the time; try again")

    def _checked(self, write: Write, snapshot: Snapshot) -> TenantPolicy | None:
        """The whole policy as it is to be written."""
        stored = _at_etag(write, snapshot)
        others = readable(snapshot)
        others.pop(write.tenant, None)
        if write.policy is None:
            problems = contradictions(self._builtin, others, write.tenant)
            _refuse(problems)
            return None
        policy = write.policy
        if stored and not replaces_all(write.paths):
            policy = merged(_current(stored), policy, write.paths)
        problems = own_problems(policy) + alias_problems(policy, self._aliases())
        # what contradicts itself would be told twice
        problems = problems or contradictions(self._builtin, {**others, write.tenant: policy}, write.tenant)
        _refuse(problems)
        return policy


def _at_etag(write: Write, snapshot: Snapshot) -> StoredPolicy | None:
    name, stored = resource_name(write.tenant), snapshot.get(write.tenant)
    if stored and not write.etag:
        raise PolicyExists(f"{name}: exists; update it with its etag")
    if write.etag and not stored:
        raise NoPolicy(f"{name}: does not exist; create it")
    if stored and stored.etag != write.etag:
        raise StaleEtag(f"{name}: was written since etag {write.etag!r} was read; read it and decide again")
    return stored


def _current(stored: StoredPolicy) -> TenantPolicy:
    try:
        return parse_policy(stored)
    except ValueError as error:
        raise FailedPrecondition(
            f"{resource_name(stored.tenant)}: what is stored cannot be read, so no part of it can be kept; "
            "update all of it, without a mask",
            "POLICY_DAMAGED",
        ) from error


def _as_if(write: Write, policy: TenantPolicy | None, snapshot: Snapshot) -> tuple[StoredPolicy, TenantPolicy] | None:
    if policy is None:
        return None
    stored = snapshot.get(write.tenant)
    generation, time_ms, author = (stored.generation, stored.time_ms, stored.author) if stored else (0, 0, "")
    return StoredPolicy(write.tenant, policy.to_json(), generation, time_ms, author), policy


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise InvalidArgument(*map(violation, problems[:MAX_VIOLATIONS]))
