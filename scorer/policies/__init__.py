"""Scoring policies by name. To add one: a file here, and one line below. `full` keeps everything and needs none."""

import pkgutil

from scorer.policies.base import Policy

FULL = "full"
POLICIES = {
    "streaming": "scorer.policies.streaming:StreamingPolicy",
    "window": "scorer.policies.window:WindowPolicy",
    "lookahead": "scorer.policies.lookahead:LookaheadPolicy",
    "fused": "scorer.policies.fused:FusedPolicy",
}
POLICY_NAMES = (FULL, *POLICIES)
# those with lookahead rows, which an adapter makes; without one FALLBACK runs in their place
ADAPTER_POLICIES = ("lookahead", "fused")
FALLBACK = "window"
# those that look with no rows at all, and so cannot predict what a budget would retain
BLIND_POLICIES = ("streaming",)


def load_policy(name: str) -> type[Policy]:
    """The class of a policy in POLICIES; only now is torch imported."""
    policy: type[Policy] = pkgutil.resolve_name(POLICIES[name])
    return policy
