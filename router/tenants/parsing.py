"""Policies as they lie in a store, read with care: somebody else may have written there."""

from functools import lru_cache

from pydantic import ValidationError

from router.tenants.checks import own_problems
from router.tenants.messages import type_problems
from router.tenants.policy import TenantPolicy
from router.tenants.store import Snapshot, StoredPolicy


def parse_policy(stored: StoredPolicy) -> TenantPolicy:
    """What is stored. Raises ValueError with a sentence when it is no policy, or contradicts itself."""
    return _parsed(stored.content)


# most are what they were a moment ago
@lru_cache(maxsize=16384)
def _parsed(content: str) -> TenantPolicy:
    try:
        policy = TenantPolicy.model_validate_json(content)
        problems = own_problems(policy)
    except ValidationError as error:
        problems = type_problems(error)
    if problems:
        sentences = (f"{'.'.join(map(str, problem.path)) or 'policy'}: {problem.description}" for problem in problems)
        raise ValueError("; ".join(sentences))
    return policy


def readable(snapshot: Snapshot) -> dict[str, TenantPolicy]:
    """Those that can be read, by tenant."""
    found = {}
    for stored in snapshot.policies:
        try:
            found[stored.tenant] = parse_policy(stored)
        except ValueError:
            continue
    return found
