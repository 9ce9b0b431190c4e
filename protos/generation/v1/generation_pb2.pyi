import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_STOP: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]
    FINISH_REASON_ABORT: _ClassVar[FinishReason]
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_STOP: FinishReason
FINISH_REASON_LENGTH: FinishReason
FINISH_REASON_ABORT: FinishReason

class GenerateRequest(_message.Message):
    __slots__ = ("request_id", "model", "text", "token_ids", "sampling", "kv", "directive", "slo")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    KV_FIELD_NUMBER: _ClassVar[int]
    DIRECTIVE_FIELD_NUMBER: _ClassVar[int]
    SLO_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    model: str
    text: str
    token_ids: TokenIds
    sampling: SamplingParams
    kv: KvHint
    directive: KvDirective
    slo: Slo
    def __init__(self, request_id: _Optional[str] = ..., model: _Optional[str] = ..., text: _Optional[str] = ..., token_ids: _Optional[_Union[TokenIds, _Mapping]] = ..., sampling: _Optional[_Union[SamplingParams, _Mapping]] = ..., kv: _Optional[_Union[KvHint, _Mapping]] = ..., directive: _Optional[_Union[KvDirective, _Mapping]] = ..., slo: _Optional[_Union[Slo, _Mapping]] = ...) -> None: ...

class TokenIds(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ids: _Optional[_Iterable[int]] = ...) -> None: ...

class SamplingParams(_message.Message):
    __slots__ = ("max_new_tokens", "temperature", "top_p", "top_k", "min_p", "stop", "stop_token_ids", "ignore_eos")
    MAX_NEW_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_P_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    STOP_TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    IGNORE_EOS_FIELD_NUMBER: _ClassVar[int]
    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    stop: _containers.RepeatedScalarFieldContainer[str]
    stop_token_ids: _containers.RepeatedScalarFieldContainer[int]
    ignore_eos: bool
    def __init__(self, max_new_tokens: _Optional[int] = ..., temperature: _Optional[float] = ..., top_p: _Optional[float] = ..., top_k: _Optional[int] = ..., min_p: _Optional[float] = ..., stop: _Optional[_Iterable[str]] = ..., stop_token_ids: _Optional[_Iterable[int]] = ..., ignore_eos: _Optional[bool] = ...) -> None: ...

class Slo(_message.Message):
    __slots__ = ("ttft", "tpot")
    TTFT_FIELD_NUMBER: _ClassVar[int]
    TPOT_FIELD_NUMBER: _ClassVar[int]
    ttft: _duration_pb2.Duration
    tpot: _duration_pb2.Duration
    def __init__(self, ttft: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., tpot: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class KvHint(_message.Message):
    __slots__ = ("policy", "budget_tokens", "keep_ratio", "adapter", "split_key", "min_retained_mass")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    KEEP_RATIO_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    SPLIT_KEY_FIELD_NUMBER: _ClassVar[int]
    MIN_RETAINED_MASS_FIELD_NUMBER: _ClassVar[int]
    policy: str
    budget_tokens: int
    keep_ratio: float
    adapter: str
    split_key: str
    min_retained_mass: float
    def __init__(self, policy: _Optional[str] = ..., budget_tokens: _Optional[int] = ..., keep_ratio: _Optional[float] = ..., adapter: _Optional[str] = ..., split_key: _Optional[str] = ..., min_retained_mass: _Optional[float] = ...) -> None: ...

class KvDirective(_message.Message):
    __slots__ = ("policy", "budget_tokens", "sink_tokens", "recent_tokens", "reasons", "adapter", "split_key", "min_retained_mass", "shared_aliases")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    SINK_TOKENS_FIELD_NUMBER: _ClassVar[int]
    RECENT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    SPLIT_KEY_FIELD_NUMBER: _ClassVar[int]
    MIN_RETAINED_MASS_FIELD_NUMBER: _ClassVar[int]
    SHARED_ALIASES_FIELD_NUMBER: _ClassVar[int]
    policy: str
    budget_tokens: int
    sink_tokens: int
    recent_tokens: int
    reasons: _containers.RepeatedScalarFieldContainer[str]
    adapter: str
    split_key: str
    min_retained_mass: float
    shared_aliases: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, policy: _Optional[str] = ..., budget_tokens: _Optional[int] = ..., sink_tokens: _Optional[int] = ..., recent_tokens: _Optional[int] = ..., reasons: _Optional[_Iterable[str]] = ..., adapter: _Optional[str] = ..., split_key: _Optional[str] = ..., min_retained_mass: _Optional[float] = ..., shared_aliases: _Optional[_Iterable[str]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("chunk", "complete")
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    chunk: GenerateChunk
    complete: GenerateComplete
    def __init__(self, chunk: _Optional[_Union[GenerateChunk, _Mapping]] = ..., complete: _Optional[_Union[GenerateComplete, _Mapping]] = ...) -> None: ...

class GenerateChunk(_message.Message):
    __slots__ = ("text", "token_ids")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_IDS_FIELD_NUMBER: _ClassVar[int]
    text: str
    token_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, text: _Optional[str] = ..., token_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class GenerateComplete(_message.Message):
    __slots__ = ("request_id", "finish_reason", "matched_stop", "usage", "kv", "decision")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    MATCHED_STOP_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    KV_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    finish_reason: FinishReason
    matched_stop: str
    usage: Usage
    kv: KvReport
    decision: BudgetDecision
    def __init__(self, request_id: _Optional[str] = ..., finish_reason: _Optional[_Union[FinishReason, str]] = ..., matched_stop: _Optional[str] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., kv: _Optional[_Union[KvReport, _Mapping]] = ..., decision: _Optional[_Union[BudgetDecision, _Mapping]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("prompt_tokens", "completion_tokens", "cached_tokens")
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    def __init__(self, prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ...) -> None: ...

class BudgetDecision(_message.Message):
    __slots__ = ("tenant", "requested_tokens", "granted_tokens", "rule", "reasons", "policy_generation", "predicted_ttft", "predicted_tpot", "queue_time")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    GRANTED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    POLICY_GENERATION_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_TTFT_FIELD_NUMBER: _ClassVar[int]
    PREDICTED_TPOT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIME_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    requested_tokens: int
    granted_tokens: int
    rule: str
    reasons: _containers.RepeatedScalarFieldContainer[str]
    policy_generation: int
    predicted_ttft: _duration_pb2.Duration
    predicted_tpot: _duration_pb2.Duration
    queue_time: _duration_pb2.Duration
    def __init__(self, tenant: _Optional[str] = ..., requested_tokens: _Optional[int] = ..., granted_tokens: _Optional[int] = ..., rule: _Optional[str] = ..., reasons: _Optional[_Iterable[str]] = ..., policy_generation: _Optional[int] = ..., predicted_ttft: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., predicted_tpot: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queue_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class KvReport(_message.Message):
    __slots__ = ("policy", "prompt_tokens", "kept_tokens", "freed_tokens", "budget_tokens", "reasons", "retained_mass", "free_slots_before", "free_slots_after", "config_source", "config_version", "queue_time", "prefill_time", "scoring_time", "compaction_time", "ttft", "retractions", "adapter", "adapter_version", "adapter_alias")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    KEPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    FREED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    RETAINED_MASS_FIELD_NUMBER: _ClassVar[int]
    FREE_SLOTS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    FREE_SLOTS_AFTER_FIELD_NUMBER: _ClassVar[int]
    CONFIG_SOURCE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIME_FIELD_NUMBER: _ClassVar[int]
    PREFILL_TIME_FIELD_NUMBER: _ClassVar[int]
    SCORING_TIME_FIELD_NUMBER: _ClassVar[int]
    COMPACTION_TIME_FIELD_NUMBER: _ClassVar[int]
    TTFT_FIELD_NUMBER: _ClassVar[int]
    RETRACTIONS_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_VERSION_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_ALIAS_FIELD_NUMBER: _ClassVar[int]
    policy: str
    prompt_tokens: int
    kept_tokens: int
    freed_tokens: int
    budget_tokens: int
    reasons: _containers.RepeatedScalarFieldContainer[str]
    retained_mass: float
    free_slots_before: int
    free_slots_after: int
    config_source: str
    config_version: str
    queue_time: _duration_pb2.Duration
    prefill_time: _duration_pb2.Duration
    scoring_time: _duration_pb2.Duration
    compaction_time: _duration_pb2.Duration
    ttft: _duration_pb2.Duration
    retractions: int
    adapter: str
    adapter_version: int
    adapter_alias: str
    def __init__(self, policy: _Optional[str] = ..., prompt_tokens: _Optional[int] = ..., kept_tokens: _Optional[int] = ..., freed_tokens: _Optional[int] = ..., budget_tokens: _Optional[int] = ..., reasons: _Optional[_Iterable[str]] = ..., retained_mass: _Optional[float] = ..., free_slots_before: _Optional[int] = ..., free_slots_after: _Optional[int] = ..., config_source: _Optional[str] = ..., config_version: _Optional[str] = ..., queue_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., prefill_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., scoring_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., compaction_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., ttft: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., retractions: _Optional[int] = ..., adapter: _Optional[str] = ..., adapter_version: _Optional[int] = ..., adapter_alias: _Optional[str] = ...) -> None: ...
