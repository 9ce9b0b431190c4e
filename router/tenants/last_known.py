"""The last state that the store had, in a file: for a start while the store is away."""

import json
import os
from pathlib import Path

import structlog

from router.tenants.policy import Strict, TenantPolicy
from router.tenants.table import LAST_KNOWN, PolicyState

logger = structlog.get_logger()


class _File(Strict):
    generation: int
    policies: dict[str, TenantPolicy]


def save_last_known(path: Path, state: PolicyState) -> None:
    """Replace the file whole. A disk that cannot is a warning: nothing depends on it now."""
    policies = {tenant: policy.plain() for tenant, policy in state.policies.items()}
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps({"generation": state.generation, "policies": policies}))
        beside.replace(path)
    except OSError as error:
        logger.warning("last known budget policies cannot be kept", path=str(path), error=str(error))


def read_last_known(path: Path) -> PolicyState | None:
    """What was saved; None when nothing was, or when it is damaged."""
    try:
        file = _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.warning("last known budget policies cannot be read", path=str(path), error=str(error))
        return None
    return PolicyState(file.generation, file.policies, LAST_KNOWN)
