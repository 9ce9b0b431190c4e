"""What an adapter is, which model it belongs to, and what its bytes must be: `manifest.json`."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from scorer.adapters.config import CONFIG_FILE
from scorer.adapters.errors import AdapterDamaged, AdapterMismatch, parse
from scorer.adapters.fingerprint import FINGERPRINT_FIELDS, model_fingerprint

MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = 4 << 30

# without braces, which mark the hash slot in Redis keys, and without a way out of a folder
AdapterName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
ModelName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$")
]
Dtype = Literal["bfloat16", "float16", "float32"]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


class FileDigest(_Checked):
    """What a file's bytes must be."""

    size_bytes: int = Field(ge=0, le=MAX_FILE_BYTES)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


class Files(_Checked):
    """The digests of the two other files; no other file is ever read."""

    config: FileDigest = Field(alias=CONFIG_FILE)
    weights: FileDigest = Field(alias=WEIGHTS_FILE)

    @classmethod
    def of(cls, contents: Mapping[str, bytes]) -> Self:
        """Of both files by name."""
        return cls.model_validate({name: FileDigest.of(content) for name, content in contents.items()})

    def check(self, contents: Mapping[str, bytes]) -> None:
        """Raises AdapterDamaged naming the file that is missing or not what it was."""
        for name, expected in ((CONFIG_FILE, self.config), (WEIGHTS_FILE, self.weights)):
            if name not in contents:
                raise AdapterDamaged(f"{name}: is missing")
            found = len(contents[name])
            if found != expected.size_bytes:
                raise AdapterDamaged(f"{name}: has {found} bytes, the manifest says {expected.size_bytes}")
            if FileDigest.of(contents[name]) != expected:
                raise AdapterDamaged(f"{name}: its sha256 is not the manifest's, so it was changed or damaged")


class Manifest(_Checked):
    """An immutable version of an adapter. `model_config_fields` says what its fingerprint was made of."""

    schema_version: Literal[1] = 1
    adapter: AdapterName
    version: int = Field(ge=1)
    model: ModelName
    model_fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    model_config_fields: dict[str, JsonValue]
    dtype: Dtype
    files: Files
    training_tag: Annotated[str, StringConstraints(max_length=256)] = ""
    scores: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}

    @model_validator(mode="after")
    def _fingerprint_is_that_of_the_fields(self) -> Self:
        if model_fingerprint(self.model_config_fields) != self.model_fingerprint:
            raise ValueError("model_fingerprint: is not that of model_config_fields")
        return self

    def check_model(self, config: Mapping[str, Any]) -> None:
        """Raises AdapterMismatch naming each field of the model's `config.json` that differs from this adapter's."""
        wanted = self.model_config_fields
        differing = [name for name in FINGERPRINT_FIELDS if _text(config.get(name)) != _text(wanted.get(name))]
        if differing:
            each = (f"{name}: {config.get(name)!r}, the adapter needs {wanted.get(name)!r}" for name in differing)
            raise AdapterMismatch(f"the adapter was made for {self.model}, not for this model; {'; '.join(each)}")

    def to_json(self) -> bytes:
        """The content of the file."""
        return (self.model_dump_json(by_alias=True, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Of the content of the file. Raises AdapterInvalid naming each unknown or wrong field."""
        return parse(MANIFEST_FILE, cls.model_validate_json, content)


def model_identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's two fields about the model, from its `config.json`."""
    fields = {name: config.get(name) for name in FINGERPRINT_FIELDS}
    return {"model_fingerprint": model_fingerprint(fields), "model_config_fields": fields}


def _text(value: Any) -> str:
    # as the fingerprint sees it: 1 and 1.0 are not the same
    return json.dumps(value, sort_keys=True)
