"""`field=value` on a command line as limits of a policy."""

from collections.abc import Sequence
from typing import Any

import typer
import yaml
from pydantic import ValidationError

from router.tenants.messages import ON_WIRE, type_problems
from router.tenants.policy import LimitsPolicy, TenantPolicy

FIELDS = tuple(LimitsPolicy.model_fields)
# a list of words may be written with commas
LISTS = ("adapter_aliases",)


def read_assignments(texts: Sequence[str]) -> tuple[TenantPolicy, list[str]]:
    """The limits that are set, and the paths of all that are named, also of those that are cleared by `field=`.

    Values are YAML: `max_budget_tokens=2048`, `length_buckets=[{max_prompt_tokens: 1000, keep_ratio: 1.0}]`.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in FIELDS:
            raise typer.BadParameter(f"{text!r} is not field=value; fields: {', '.join(FIELDS)}")
        if name in values:
            raise typer.BadParameter(f"{name} is set twice")
        values[name] = _value(name, value)
    try:
        policy = TenantPolicy.of({"limits": {name: value for name, value in values.items() if value is not None}})
    except ValidationError as error:
        sentences = (f"{'.'.join(map(str, p.path[1:]))}: {p.description}" for p in type_problems(error))
        raise typer.BadParameter("; ".join(sentences)) from error
    return policy, [f"limits.{ON_WIRE.get(name, name)}" for name in values]


def _value(name: str, text: str) -> Any:
    if not text:
        return None
    if name in LISTS and not text.startswith("["):
        return [part.strip() for part in text.split(",")]
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise typer.BadParameter(f"{name}: {text!r} is not YAML: {' '.join(str(error).split())}") from error
