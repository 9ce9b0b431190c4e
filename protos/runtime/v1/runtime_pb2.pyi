from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetModelInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelInfoResponse(_message.Message):
    __slots__ = ("model", "fingerprint", "context_tokens", "vocab_size", "layers", "kv_heads", "head_dim", "kv_bytes_per_token", "policies", "adapter", "kernels_off", "aliases", "loaded_adapters")
    class KernelsOffEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    VOCAB_SIZE_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    KV_HEADS_FIELD_NUMBER: _ClassVar[int]
    HEAD_DIM_FIELD_NUMBER: _ClassVar[int]
    KV_BYTES_PER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    KERNELS_OFF_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    LOADED_ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    model: str
    fingerprint: str
    context_tokens: int
    vocab_size: int
    layers: int
    kv_heads: int
    head_dim: int
    kv_bytes_per_token: int
    policies: _containers.RepeatedScalarFieldContainer[str]
    adapter: Adapter
    kernels_off: _containers.ScalarMap[str, str]
    aliases: _containers.RepeatedCompositeFieldContainer[AdapterAlias]
    loaded_adapters: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., fingerprint: _Optional[str] = ..., context_tokens: _Optional[int] = ..., vocab_size: _Optional[int] = ..., layers: _Optional[int] = ..., kv_heads: _Optional[int] = ..., head_dim: _Optional[int] = ..., kv_bytes_per_token: _Optional[int] = ..., policies: _Optional[_Iterable[str]] = ..., adapter: _Optional[_Union[Adapter, _Mapping]] = ..., kernels_off: _Optional[_Mapping[str, str]] = ..., aliases: _Optional[_Iterable[_Union[AdapterAlias, _Mapping]]] = ..., loaded_adapters: _Optional[_Iterable[str]] = ...) -> None: ...

class AdapterAlias(_message.Message):
    __slots__ = ("name", "adapter", "problem", "share")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    name: str
    adapter: Adapter
    problem: str
    share: float
    def __init__(self, name: _Optional[str] = ..., adapter: _Optional[_Union[Adapter, _Mapping]] = ..., problem: _Optional[str] = ..., share: _Optional[float] = ...) -> None: ...

class Adapter(_message.Message):
    __slots__ = ("name", "version", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    sha256: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class GetLoadRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetLoadResponse(_message.Message):
    __slots__ = ("running_requests", "queued_requests", "total_slots", "free_slots", "in_flight", "draining", "max_running_requests")
    RUNNING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SLOTS_FIELD_NUMBER: _ClassVar[int]
    FREE_SLOTS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    running_requests: int
    queued_requests: int
    total_slots: int
    free_slots: int
    in_flight: int
    draining: bool
    max_running_requests: int
    def __init__(self, running_requests: _Optional[int] = ..., queued_requests: _Optional[int] = ..., total_slots: _Optional[int] = ..., free_slots: _Optional[int] = ..., in_flight: _Optional[int] = ..., draining: _Optional[bool] = ..., max_running_requests: _Optional[int] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ("in_flight",)
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    in_flight: int
    def __init__(self, in_flight: _Optional[int] = ...) -> None: ...
