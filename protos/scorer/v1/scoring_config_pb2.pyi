from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetScoringConfigRequest(_message.Message):
    __slots__ = ("model_fingerprint",)
    MODEL_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    model_fingerprint: str
    def __init__(self, model_fingerprint: _Optional[str] = ...) -> None: ...

class GetScoringConfigResponse(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: ScoringConfig
    def __init__(self, config: _Optional[_Union[ScoringConfig, _Mapping]] = ...) -> None: ...

class WatchScoringConfigRequest(_message.Message):
    __slots__ = ("model_fingerprint",)
    MODEL_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    model_fingerprint: str
    def __init__(self, model_fingerprint: _Optional[str] = ...) -> None: ...

class WatchScoringConfigResponse(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: ScoringConfig
    def __init__(self, config: _Optional[_Union[ScoringConfig, _Mapping]] = ...) -> None: ...

class ScoringConfig(_message.Message):
    __slots__ = ("version", "policy", "policy_params", "sink_tokens", "recent_tokens", "min_budget_tokens", "min_evicted_tokens")
    class PolicyParamsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _struct_pb2.Struct
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_PARAMS_FIELD_NUMBER: _ClassVar[int]
    SINK_TOKENS_FIELD_NUMBER: _ClassVar[int]
    RECENT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MIN_BUDGET_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MIN_EVICTED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    version: str
    policy: str
    policy_params: _containers.MessageMap[str, _struct_pb2.Struct]
    sink_tokens: int
    recent_tokens: int
    min_budget_tokens: int
    min_evicted_tokens: int
    def __init__(self, version: _Optional[str] = ..., policy: _Optional[str] = ..., policy_params: _Optional[_Mapping[str, _struct_pb2.Struct]] = ..., sink_tokens: _Optional[int] = ..., recent_tokens: _Optional[int] = ..., min_budget_tokens: _Optional[int] = ..., min_evicted_tokens: _Optional[int] = ...) -> None: ...
