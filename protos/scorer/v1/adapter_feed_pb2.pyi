from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchLocalAdaptersRequest(_message.Message):
    __slots__ = ("model_fingerprint",)
    MODEL_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    model_fingerprint: str
    def __init__(self, model_fingerprint: _Optional[str] = ...) -> None: ...

class WatchLocalAdaptersResponse(_message.Message):
    __slots__ = ("aliases",)
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    aliases: _containers.RepeatedCompositeFieldContainer[LocalAlias]
    def __init__(self, aliases: _Optional[_Iterable[_Union[LocalAlias, _Mapping]]] = ...) -> None: ...

class LocalAlias(_message.Message):
    __slots__ = ("name", "adapter", "problem", "share")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    name: str
    adapter: LocalAdapter
    problem: str
    share: float
    def __init__(self, name: _Optional[str] = ..., adapter: _Optional[_Union[LocalAdapter, _Mapping]] = ..., problem: _Optional[str] = ..., share: _Optional[float] = ...) -> None: ...

class LocalAdapter(_message.Message):
    __slots__ = ("id", "folder", "adapter", "version", "sha256", "size_bytes", "lookahead_tokens")
    ID_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    ADAPTER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOOKAHEAD_TOKENS_FIELD_NUMBER: _ClassVar[int]
    id: str
    folder: str
    adapter: str
    version: int
    sha256: str
    size_bytes: int
    lookahead_tokens: int
    def __init__(self, id: _Optional[str] = ..., folder: _Optional[str] = ..., adapter: _Optional[str] = ..., version: _Optional[int] = ..., sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., lookahead_tokens: _Optional[int] = ...) -> None: ...
