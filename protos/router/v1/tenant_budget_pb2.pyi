import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from protos.generation.v1 import generation_pb2 as _generation_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnConflict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_CONFLICT_UNSPECIFIED: _ClassVar[OnConflict]
    ON_CONFLICT_FULL_KV: _ClassVar[OnConflict]
    ON_CONFLICT_DEGRADE: _ClassVar[OnConflict]
    ON_CONFLICT_REJECT: _ClassVar[OnConflict]

class PriorityClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_CLASS_UNSPECIFIED: _ClassVar[PriorityClass]
    PRIORITY_CLASS_BULK: _ClassVar[PriorityClass]
    PRIORITY_CLASS_DEFAULT: _ClassVar[PriorityClass]
    PRIORITY_CLASS_INTERACTIVE: _ClassVar[PriorityClass]
ON_CONFLICT_UNSPECIFIED: OnConflict
ON_CONFLICT_FULL_KV: OnConflict
ON_CONFLICT_DEGRADE: OnConflict
ON_CONFLICT_REJECT: OnConflict
PRIORITY_CLASS_UNSPECIFIED: PriorityClass
PRIORITY_CLASS_BULK: PriorityClass
PRIORITY_CLASS_DEFAULT: PriorityClass
PRIORITY_CLASS_INTERACTIVE: PriorityClass

class TenantBudget(_message.Message):
    __slots__ = ("name", "limits", "model_rules", "etag", "update_time", "updated_by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    MODEL_RULES_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATED_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    limits: BudgetLimits
    model_rules: _containers.RepeatedCompositeFieldContainer[ModelRule]
    etag: str
    update_time: _timestamp_pb2.Timestamp
    updated_by: str
    def __init__(self, name: _Optional[str] = ..., limits: _Optional[_Union[BudgetLimits, _Mapping]] = ..., model_rules: _Optional[_Iterable[_Union[ModelRule, _Mapping]]] = ..., etag: _Optional[str] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_by: _Optional[str] = ...) -> None: ...

class ModelRule(_message.Message):
    __slots__ = ("model", "limits")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    model: str
    limits: BudgetLimits
    def __init__(self, model: _Optional[str] = ..., limits: _Optional[_Union[BudgetLimits, _Mapping]] = ...) -> None: ...

class BudgetLimits(_message.Message):
    __slots__ = ("min_budget_tokens", "min_keep_ratio", "max_budget_tokens", "max_keep_ratio", "default_keep_ratio", "length_buckets", "min_retained_mass", "ttft", "tpot", "on_conflict", "priority", "weight", "requests_per_minute", "tokens_per_minute", "max_concurrent_requests", "max_resident_kv_tokens", "adapter_aliases")
    MIN_BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MIN_KEEP_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_KEEP_RATIO_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_KEEP_RATIO_FIELD_NUMBER: _ClassVar[int]
    LENGTH_BUCKETS_FIELD_NUMBER: _ClassVar[int]
    MIN_RETAINED_MASS_FIELD_NUMBER: _ClassVar[int]
    TTFT_FIELD_NUMBER: _ClassVar[int]
    TPOT_FIELD_NUMBER: _ClassVar[int]
    ON_CONFLICT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAX_RESIDENT_KV_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_ALIASES_FIELD_NUMBER: _ClassVar[int]
    min_budget_tokens: int
    min_keep_ratio: float
    max_budget_tokens: int
    max_keep_ratio: float
    default_keep_ratio: float
    length_buckets: LengthBuckets
    min_retained_mass: float
    ttft: _duration_pb2.Duration
    tpot: _duration_pb2.Duration
    on_conflict: OnConflict
    priority: PriorityClass
    weight: float
    requests_per_minute: int
    tokens_per_minute: int
    max_concurrent_requests: int
    max_resident_kv_tokens: int
    adapter_aliases: AdapterAliases
    def __init__(self, min_budget_tokens: _Optional[int] = ..., min_keep_ratio: _Optional[float] = ..., max_budget_tokens: _Optional[int] = ..., max_keep_ratio: _Optional[float] = ..., default_keep_ratio: _Optional[float] = ..., length_buckets: _Optional[_Union[LengthBuckets, _Mapping]] = ..., min_retained_mass: _Optional[float] = ..., ttft: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., tpot: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., on_conflict: _Optional[_Union[OnConflict, str]] = ..., priority: _Optional[_Union[PriorityClass, str]] = ..., weight: _Optional[float] = ..., requests_per_minute: _Optional[int] = ..., tokens_per_minute: _Optional[int] = ..., max_concurrent_requests: _Optional[int] = ..., max_resident_kv_tokens: _Optional[int] = ..., adapter_aliases: _Optional[_Union[AdapterAliases, _Mapping]] = ...) -> None: ...

class LengthBuckets(_message.Message):
    __slots__ = ("buckets",)
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedCompositeFieldContainer[LengthBucket]
    def __init__(self, buckets: _Optional[_Iterable[_Union[LengthBucket, _Mapping]]] = ...) -> None: ...

class LengthBucket(_message.Message):
    __slots__ = ("max_prompt_tokens", "budget_tokens", "keep_ratio")
    MAX_PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    KEEP_RATIO_FIELD_NUMBER: _ClassVar[int]
    max_prompt_tokens: int
    budget_tokens: int
    keep_ratio: float
    def __init__(self, max_prompt_tokens: _Optional[int] = ..., budget_tokens: _Optional[int] = ..., keep_ratio: _Optional[float] = ...) -> None: ...

class AdapterAliases(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class GetTenantBudgetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetTenantBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: TenantBudget
    def __init__(self, budget: _Optional[_Union[TenantBudget, _Mapping]] = ...) -> None: ...

class ListTenantBudgetsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTenantBudgetsResponse(_message.Message):
    __slots__ = ("budgets", "next_page_token")
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    budgets: _containers.RepeatedCompositeFieldContainer[TenantBudget]
    next_page_token: str
    def __init__(self, budgets: _Optional[_Iterable[_Union[TenantBudget, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateTenantBudgetRequest(_message.Message):
    __slots__ = ("budget", "validate_only")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    budget: TenantBudget
    validate_only: bool
    def __init__(self, budget: _Optional[_Union[TenantBudget, _Mapping]] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class CreateTenantBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: TenantBudget
    def __init__(self, budget: _Optional[_Union[TenantBudget, _Mapping]] = ...) -> None: ...

class UpdateTenantBudgetRequest(_message.Message):
    __slots__ = ("budget", "update_mask", "validate_only")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    budget: TenantBudget
    update_mask: _field_mask_pb2.FieldMask
    validate_only: bool
    def __init__(self, budget: _Optional[_Union[TenantBudget, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class UpdateTenantBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: TenantBudget
    def __init__(self, budget: _Optional[_Union[TenantBudget, _Mapping]] = ...) -> None: ...

class DeleteTenantBudgetRequest(_message.Message):
    __slots__ = ("name", "etag", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class DeleteTenantBudgetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetEffectiveBudgetRequest(_message.Message):
    __slots__ = ("tenant", "model", "prompt_tokens", "max_new_tokens", "kv", "slo")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_NEW_TOKENS_FIELD_NUMBER: _ClassVar[int]
    KV_FIELD_NUMBER: _ClassVar[int]
    SLO_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    model: str
    prompt_tokens: int
    max_new_tokens: int
    kv: _generation_pb2.KvHint
    slo: _generation_pb2.Slo
    def __init__(self, tenant: _Optional[str] = ..., model: _Optional[str] = ..., prompt_tokens: _Optional[int] = ..., max_new_tokens: _Optional[int] = ..., kv: _Optional[_Union[_generation_pb2.KvHint, _Mapping]] = ..., slo: _Optional[_Union[_generation_pb2.Slo, _Mapping]] = ...) -> None: ...

class GetEffectiveBudgetResponse(_message.Message):
    __slots__ = ("decision", "limits", "origins")
    class OriginsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DECISION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    ORIGINS_FIELD_NUMBER: _ClassVar[int]
    decision: _generation_pb2.BudgetDecision
    limits: BudgetLimits
    origins: _containers.ScalarMap[str, str]
    def __init__(self, decision: _Optional[_Union[_generation_pb2.BudgetDecision, _Mapping]] = ..., limits: _Optional[_Union[BudgetLimits, _Mapping]] = ..., origins: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ListBudgetWritesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "name")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    name: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ListBudgetWritesResponse(_message.Message):
    __slots__ = ("writes", "next_page_token")
    WRITES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    writes: _containers.RepeatedCompositeFieldContainer[BudgetWrite]
    next_page_token: str
    def __init__(self, writes: _Optional[_Iterable[_Union[BudgetWrite, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class BudgetWrite(_message.Message):
    __slots__ = ("time", "author", "action", "name", "generation", "before", "after")
    TIME_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    author: str
    action: str
    name: str
    generation: int
    before: str
    after: str
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., author: _Optional[str] = ..., action: _Optional[str] = ..., name: _Optional[str] = ..., generation: _Optional[int] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class GetPolicyStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPolicyStatusResponse(_message.Message):
    __slots__ = ("router", "routers")
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    ROUTERS_FIELD_NUMBER: _ClassVar[int]
    router: RouterStatus
    routers: _containers.RepeatedCompositeFieldContainer[RouterStatus]
    def __init__(self, router: _Optional[_Union[RouterStatus, _Mapping]] = ..., routers: _Optional[_Iterable[_Union[RouterStatus, _Mapping]]] = ...) -> None: ...

class RouterStatus(_message.Message):
    __slots__ = ("router", "observed_generation", "observed_time", "source", "problem")
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_TIME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    router: str
    observed_generation: int
    observed_time: _timestamp_pb2.Timestamp
    source: str
    problem: str
    def __init__(self, router: _Optional[str] = ..., observed_generation: _Optional[int] = ..., observed_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ..., problem: _Optional[str] = ...) -> None: ...
