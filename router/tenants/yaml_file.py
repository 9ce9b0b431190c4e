"""All policies as one YAML file, in the schema of the API: `cluster`, and `tenants` by name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from router.budgets.limits import Limits
from router.tenants.checks import Problem, contradictions, own_problems
from router.tenants.messages import type_problems
from router.tenants.policy import CLUSTER, Strict, TenantName, TenantPolicy


class PolicyFileError(ValueError):
    """A file that cannot be used. The message names file and field."""


class _Policies(Strict):
    cluster: TenantPolicy | None = None
    tenants: dict[TenantName, TenantPolicy] = {}


class _Loader(yaml.SafeLoader):
    """No key twice, and no aliases, which could make a small file a large one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "`*` begins an alias, which is not used here; quote it")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_policies(path: Path, builtin: Limits | None = None) -> dict[str, TenantPolicy]:
    """The policies of a file by tenant, those for all by `cluster`. Raises PolicyFileError with all that is wrong."""
    try:
        return parse_policies(path.read_text(), builtin)
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyFileError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except PolicyFileError as error:
        raise PolicyFileError(f"{path}: {error}") from error


def parse_policies(text: str, builtin: Limits | None = None) -> dict[str, TenantPolicy]:
    """As `read_policies`, of the text."""
    try:
        # a loader of our own, which makes nothing but plain data
        content = yaml.load(text, Loader=_Loader)
        file = _Policies.model_validate_json(_as_json(content))
    except yaml.YAMLError as error:
        raise PolicyFileError(f"is not such YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise _refusal(type_problems(error)) from error
    policies = {**({CLUSTER: file.cluster} if file.cluster else {}), **file.tenants}
    if CLUSTER in file.tenants:
        raise PolicyFileError(f"tenants.{CLUSTER}: is no tenant; what all inherit is `{CLUSTER}` at the top")
    problems = [
        Problem((*_path(tenant), *problem.path), problem.description)
        for tenant, policy in policies.items()
        for problem in own_problems(policy) or contradictions(builtin or Limits(), policies, tenant)
    ]
    if problems:
        raise _refusal(problems)
    return policies


def write_policies(policies: Mapping[str, TenantPolicy]) -> str:
    """The text of such a file."""
    plain: dict[str, Any] = {CLUSTER: policies[CLUSTER].plain()} if CLUSTER in policies else {}
    plain["tenants"] = {name: policies[name].plain() for name in sorted(policies) if name != CLUSTER}
    return yaml.safe_dump(plain, sort_keys=False)


def _as_json(content: Any) -> str:
    return json.dumps({} if content is None else content, default=str)


def _path(tenant: str) -> tuple[str, ...]:
    return (CLUSTER,) if tenant == CLUSTER else ("tenants", tenant)


def _refusal(problems: list[Problem]) -> PolicyFileError:
    return PolicyFileError("; ".join(f"{'.'.join(map(str, p.path)) or 'file'}: {p.description}" for p in problems))
