"""A tenant's budget policy: the same schema on the wire, in Redis and in YAML; unknown fields are refused."""

import json
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    model_validator,
)

from router.budgets.limits import OnConflict, Priority

CLUSTER = "cluster"
TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$"
TenantName = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
# of an adapter's name, a slash and an alias
AliasName = Annotated[str, StringConstraints(min_length=1, max_length=129)]
Tokens = Annotated[int, Field(ge=1, le=1 << 31)]
Count = Annotated[int, Field(ge=1, le=1 << 53)]
Ratio = Annotated[float, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


def _priority(value: Any) -> Any:
    known = {priority.name.lower(): priority for priority in Priority}
    if isinstance(value, Priority):
        return value
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{value!r} is no priority; known: {', '.join(known)}")
    return known[value]


# by its name wherever people read it
PriorityName = Annotated[
    Priority, BeforeValidator(_priority), PlainSerializer(lambda priority: priority.name.lower(), return_type=str)
]


class Strict(BaseModel):
    """Data that is what it says: unknown fields and wrong types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class BucketPolicy(Strict):
    """What prompts up to this length keep: `budget_tokens` or `keep_ratio`."""

    max_prompt_tokens: Tokens
    budget_tokens: Tokens | None = None
    keep_ratio: Ratio | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.budget_tokens is None) == (self.keep_ratio is None):
            raise ValueError("set budget_tokens or keep_ratio, one of both")
        return self


class LimitsPolicy(Strict):
    """Limits that a level sets; None is inherited. Names and meanings are those of `router.budgets.limits.Limits`."""

    min_budget_tokens: Tokens | None = None
    min_keep_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    max_budget_tokens: Tokens | None = None
    max_keep_ratio: Ratio | None = None
    default_keep_ratio: Ratio | None = None
    length_buckets: tuple[BucketPolicy, ...] | None = None
    min_retained_mass: Ratio | None = None
    ttft_seconds: Seconds | None = None
    tpot_seconds: Seconds | None = None
    on_conflict: OnConflict | None = None
    priority: PriorityName | None = None
    weight: Annotated[float, Field(gt=0, le=1000)] | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    max_concurrent_requests: Count | None = None
    max_resident_kv_tokens: Count | None = None
    adapter_aliases: tuple[AliasName, ...] | None = None


class ModelRule(Strict):
    """Limits for one model, or for all whose name begins with what stands before `*`."""

    model: str = Field(min_length=1, max_length=256)
    limits: LimitsPolicy = LimitsPolicy()


class TenantPolicy(Strict):
    """What is written for a tenant, or, under the name `cluster`, for all."""

    limits: LimitsPolicy = LimitsPolicy()
    model_rules: tuple[ModelRule, ...] = ()

    @classmethod
    def of(cls, value: Any) -> Self:
        """Of plain data as JSON has it. Raises ValidationError with every wrong field."""
        # JSON knows no tuples and no enums, which a strict model would else insist on
        return cls.model_validate_json(json.dumps(value, default=str))

    def to_json(self) -> str:
        """One line, without what is inherited."""
        return json.dumps(self.plain(), sort_keys=True, separators=(",", ":"))

    def plain(self) -> dict[str, Any]:
        """Plain data, without what is inherited."""
        return self.model_dump(mode="json", exclude_defaults=True)
