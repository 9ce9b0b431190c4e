from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AdapterEventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADAPTER_EVENT_KIND_UNSPECIFIED: _ClassVar[AdapterEventKind]
    ADAPTER_EVENT_KIND_PUBLISHED: _ClassVar[AdapterEventKind]
    ADAPTER_EVENT_KIND_ALIAS: _ClassVar[AdapterEventKind]
    ADAPTER_EVENT_KIND_ALIAS_REMOVED: _ClassVar[AdapterEventKind]
    ADAPTER_EVENT_KIND_DELETED: _ClassVar[AdapterEventKind]
ADAPTER_EVENT_KIND_UNSPECIFIED: AdapterEventKind
ADAPTER_EVENT_KIND_PUBLISHED: AdapterEventKind
ADAPTER_EVENT_KIND_ALIAS: AdapterEventKind
ADAPTER_EVENT_KIND_ALIAS_REMOVED: AdapterEventKind
ADAPTER_EVENT_KIND_DELETED: AdapterEventKind

class AdapterDescription(_message.Message):
    __slots__ = ("manifest", "config", "chunk_sums")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CHUNK_SUMS_FIELD_NUMBER: _ClassVar[int]
    manifest: bytes
    config: bytes
    chunk_sums: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, manifest: _Optional[bytes] = ..., config: _Optional[bytes] = ..., chunk_sums: _Optional[_Iterable[str]] = ...) -> None: ...

class AliasMove(_message.Message):
    __slots__ = ("alias", "generation")
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    alias: str
    generation: int
    def __init__(self, alias: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class BeginPublishRequest(_message.Message):
    __slots__ = ("description",)
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    description: AdapterDescription
    def __init__(self, description: _Optional[_Union[AdapterDescription, _Mapping]] = ...) -> None: ...

class BeginPublishResponse(_message.Message):
    __slots__ = ("missing_chunks", "chunk_bytes")
    MISSING_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    missing_chunks: _containers.RepeatedScalarFieldContainer[int]
    chunk_bytes: int
    def __init__(self, missing_chunks: _Optional[_Iterable[int]] = ..., chunk_bytes: _Optional[int] = ...) -> None: ...

class PublishAdapterRequest(_message.Message):
    __slots__ = ("start", "piece")
    START_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    start: PublishStart
    piece: WeightsPiece
    def __init__(self, start: _Optional[_Union[PublishStart, _Mapping]] = ..., piece: _Optional[_Union[WeightsPiece, _Mapping]] = ...) -> None: ...

class PublishStart(_message.Message):
    __slots__ = ("description", "move_alias", "model_fingerprint")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    MOVE_ALIAS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    description: AdapterDescription
    move_alias: AliasMove
    model_fingerprint: str
    def __init__(self, description: _Optional[_Union[AdapterDescription, _Mapping]] = ..., move_alias: _Optional[_Union[AliasMove, _Mapping]] = ..., model_fingerprint: _Optional[str] = ...) -> None: ...

class WeightsPiece(_message.Message):
    __slots__ = ("offset", "content")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    offset: int
    content: bytes
    def __init__(self, offset: _Optional[int] = ..., content: _Optional[bytes] = ...) -> None: ...

class PublishAdapterResponse(_message.Message):
    __slots__ = ("version", "alias")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    version: AdapterVersion
    alias: Alias
    def __init__(self, version: _Optional[_Union[AdapterVersion, _Mapping]] = ..., alias: _Optional[_Union[Alias, _Mapping]] = ...) -> None: ...

class Adapter(_message.Message):
    __slots__ = ("name", "versions", "aliases", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    versions: _containers.RepeatedCompositeFieldContainer[AdapterVersion]
    aliases: _containers.RepeatedCompositeFieldContainer[Alias]
    revision: int
    def __init__(self, name: _Optional[str] = ..., versions: _Optional[_Iterable[_Union[AdapterVersion, _Mapping]]] = ..., aliases: _Optional[_Iterable[_Union[Alias, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class AdapterVersion(_message.Message):
    __slots__ = ("number", "model_fingerprint", "size_bytes", "created_ms", "idle_since_ms")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    IDLE_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    number: int
    model_fingerprint: str
    size_bytes: int
    created_ms: int
    idle_since_ms: int
    def __init__(self, number: _Optional[int] = ..., model_fingerprint: _Optional[str] = ..., size_bytes: _Optional[int] = ..., created_ms: _Optional[int] = ..., idle_since_ms: _Optional[int] = ...) -> None: ...

class Alias(_message.Message):
    __slots__ = ("name", "version", "generation", "previous", "share")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    generation: int
    previous: int
    share: float
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., generation: _Optional[int] = ..., previous: _Optional[int] = ..., share: _Optional[float] = ...) -> None: ...

class GetAdapterRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetAdapterResponse(_message.Message):
    __slots__ = ("adapter",)
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    adapter: Adapter
    def __init__(self, adapter: _Optional[_Union[Adapter, _Mapping]] = ...) -> None: ...

class ListAdaptersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "model_fingerprint")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    model_fingerprint: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., model_fingerprint: _Optional[str] = ...) -> None: ...

class ListAdaptersResponse(_message.Message):
    __slots__ = ("adapters", "next_page_token")
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    adapters: _containers.RepeatedCompositeFieldContainer[Adapter]
    next_page_token: str
    def __init__(self, adapters: _Optional[_Iterable[_Union[Adapter, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DownloadAdapterRequest(_message.Message):
    __slots__ = ("name", "version", "alias", "first_chunk")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    FIRST_CHUNK_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    alias: str
    first_chunk: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., alias: _Optional[str] = ..., first_chunk: _Optional[int] = ...) -> None: ...

class DownloadAdapterResponse(_message.Message):
    __slots__ = ("description", "piece")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    description: AdapterDescription
    piece: WeightsPiece
    def __init__(self, description: _Optional[_Union[AdapterDescription, _Mapping]] = ..., piece: _Optional[_Union[WeightsPiece, _Mapping]] = ...) -> None: ...

class SetAliasRequest(_message.Message):
    __slots__ = ("name", "alias", "version", "generation", "share")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    name: str
    alias: str
    version: int
    generation: int
    share: float
    def __init__(self, name: _Optional[str] = ..., alias: _Optional[str] = ..., version: _Optional[int] = ..., generation: _Optional[int] = ..., share: _Optional[float] = ...) -> None: ...

class SetAliasResponse(_message.Message):
    __slots__ = ("alias",)
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    alias: Alias
    def __init__(self, alias: _Optional[_Union[Alias, _Mapping]] = ...) -> None: ...

class RemoveAliasRequest(_message.Message):
    __slots__ = ("name", "alias", "generation")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    name: str
    alias: str
    generation: int
    def __init__(self, name: _Optional[str] = ..., alias: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class RemoveAliasResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DeleteVersionRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class DeleteVersionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchAdaptersRequest(_message.Message):
    __slots__ = ("model_fingerprint",)
    MODEL_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    model_fingerprint: str
    def __init__(self, model_fingerprint: _Optional[str] = ...) -> None: ...

class WatchAdaptersResponse(_message.Message):
    __slots__ = ("state", "change")
    STATE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    state: AdapterSet
    change: AdapterChange
    def __init__(self, state: _Optional[_Union[AdapterSet, _Mapping]] = ..., change: _Optional[_Union[AdapterChange, _Mapping]] = ...) -> None: ...

class AdapterSet(_message.Message):
    __slots__ = ("adapters",)
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    adapters: _containers.RepeatedCompositeFieldContainer[Adapter]
    def __init__(self, adapters: _Optional[_Iterable[_Union[Adapter, _Mapping]]] = ...) -> None: ...

class AdapterChange(_message.Message):
    __slots__ = ("adapter", "events")
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    adapter: Adapter
    events: _containers.RepeatedCompositeFieldContainer[AdapterEvent]
    def __init__(self, adapter: _Optional[_Union[Adapter, _Mapping]] = ..., events: _Optional[_Iterable[_Union[AdapterEvent, _Mapping]]] = ...) -> None: ...

class AdapterEvent(_message.Message):
    __slots__ = ("number", "kind", "version", "alias")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    number: int
    kind: AdapterEventKind
    version: int
    alias: str
    def __init__(self, number: _Optional[int] = ..., kind: _Optional[_Union[AdapterEventKind, str]] = ..., version: _Optional[int] = ..., alias: _Optional[str] = ...) -> None: ...
