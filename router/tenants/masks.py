"""Field masks: which parts of a budget an update replaces."""

from collections.abc import Sequence

from router.tenants.messages import LIMIT_FIELDS
from router.tenants.policy import TenantPolicy
from services.shared.errors import InvalidArgument, Violation

LIMITS, RULES, ALL = "limits", "model_rules", "*"
KNOWN = (LIMITS, RULES, *(f"{LIMITS}.{name}" for name in LIMIT_FIELDS))


def replaces_all(paths: Sequence[str]) -> bool:
    """Whether nothing stays as it was."""
    return not paths or ALL in paths or {LIMITS, RULES} <= set(paths)


def merged(current: TenantPolicy, given: TenantPolicy, paths: Sequence[str]) -> TenantPolicy:
    """`current` with the named parts of `given`: those that it does not set are inherited from then on."""
    if replaces_all(paths):
        return given
    limits = given.limits if LIMITS in paths else current.limits
    names = [LIMIT_FIELDS[path.partition(".")[2]] for path in paths if path.startswith(f"{LIMITS}.")]
    limits = limits.model_copy(update={name: getattr(given.limits, name) for name in names})
    rules = given.model_rules if RULES in paths else current.model_rules
    return TenantPolicy(limits=limits, model_rules=rules)


def check_paths(paths: Sequence[str]) -> None:
    """Raises InvalidArgument with every path that is no part of a budget."""
    unknown = [path for path in paths if path not in KNOWN and path != ALL]
    if unknown:
        known = f"known: {', '.join(KNOWN)}"
        raise InvalidArgument(*(Violation("update_mask", f"{path!r} is no path; {known}") for path in unknown))
