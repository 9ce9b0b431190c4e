"""A tenant's budget policy: the same schema on the wire, in Redis and in YAML; unknown fields are refused."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from router.budgets.limits import OnConflict, Priority

CLUSTER = "cluster"
TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$"
# of an adapter's name, a slash and an alias
AliasName = Annotated[str, StringConstraints(min_length=1, max_length=129)]
Tokens = Annotated[int, Field(ge=1, le=1 << 31)]
Count = Annotated[int, Field(ge=1, le=1 << 53)]
Ratio = Annotated[float, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BucketPolicy(_Strict):
    """What prompts up to this length keep: `budget_tokens` or `keep_ratio`."""

    max_prompt_tokens: Tokens
    budget_tokens: Tokens | None = None
    keep_ratio: Ratio | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.budget_tokens is None) == (self.keep_ratio is None):
            raise ValueError("set budget_tokens or keep_ratio, one of both")
        return self


class LimitsPolicy(_Strict):
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
    priority: Priority | None = None
    weight: Annotated[float, Field(gt=0, le=1000)] | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    max_concurrent_requests: Count | None = None
    max_resident_kv_tokens: Count | None = None
    adapter_aliases: tuple[AliasName, ...] | None = None


class ModelRule(_Strict):
    """Limits for one model, or for all whose name begins with what stands before `*`."""

    model: str = Field(min_length=1, max_length=256)
    limits: LimitsPolicy = LimitsPolicy()


class TenantPolicy(_Strict):
    """What is written for a tenant, or, under the name `cluster`, for all."""

    limits: LimitsPolicy = LimitsPolicy()
    model_rules: tuple[ModelRule, ...] = ()
