"""The header of a safetensors file, read without torch and with every bound checked first."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scorer.adapters.errors import AdapterInvalid
from scorer.adapters.manifest import WEIGHTS_FILE
from scorer.adapters.shapes import Shape

LENGTH_BYTES = 8
# 200 layers of 14 tensors need about 0.4 MiB
MAX_HEADER_BYTES = 4 << 20
# the names of the format -> torch's name, bytes
DTYPES = {"BF16": ("bfloat16", 2), "F16": ("float16", 2), "F32": ("float32", 4)}


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies behind the header, in bytes."""

    dtype: str
    shape: Shape
    start: int
    end: int


def header_bytes(content: bytes, file_bytes: int) -> int:
    """Where the tensors begin in a file that begins with `content`. Raises AdapterInvalid for an absurd length."""
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES or LENGTH_BYTES + length > file_bytes or len(content) < LENGTH_BYTES:
        raise _not_safetensors(
            f"its header would have {length} bytes, of {file_bytes} in the file and {MAX_HEADER_BYTES} allowed"
        )
    return LENGTH_BYTES + length


def read_header(content: bytes, file_bytes: int | None = None) -> dict[str, TensorEntry]:
    """Every tensor by name. Raises AdapterInvalid when this is not a safetensors file whose tensors fill it exactly.

    With `file_bytes`, the size of the file, `content` may end behind the header.
    """
    size_bytes = len(content) if file_bytes is None else file_bytes
    end = header_bytes(content, size_bytes)
    entries = {
        name: _entry(name, fields)
        for name, fields in _parse(content[LENGTH_BYTES:end]).items()
        if name != "__metadata__"
    }
    _check_layout(entries, size_bytes - end)
    return entries


def check_tensors(entries: Mapping[str, TensorEntry], expected: Mapping[str, Shape], dtype: str) -> None:
    """Raises AdapterInvalid naming a tensor that is missing, not expected, or of another shape or dtype."""
    missing, unexpected = sorted(expected.keys() - entries.keys()), sorted(entries.keys() - expected.keys())
    if missing:
        raise AdapterInvalid(f"{WEIGHTS_FILE}: {len(missing)} tensors are missing, the first is {missing[0]}")
    if unexpected:
        raise AdapterInvalid(f"{WEIGHTS_FILE}: {len(unexpected)} tensors too many, the first is {unexpected[0]!r}")
    for name, entry in entries.items():
        if entry.shape != expected[name]:
            raise AdapterInvalid(f"{name}: has shape {list(entry.shape)}, the model needs {list(expected[name])}")
        if entry.dtype != dtype:
            raise AdapterInvalid(f"{name}: is {entry.dtype}, the manifest says {dtype}")


def _parse(header: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise _not_safetensors("its header is not JSON") from error
    if not isinstance(parsed, dict):
        raise _not_safetensors("its header is not an object")
    return parsed


def _entry(name: str, fields: Any) -> TensorEntry:
    match fields:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(end)], **rest} if not rest:
            if dtype not in DTYPES:
                raise AdapterInvalid(f"{name}: dtype {dtype!r} is not one of {', '.join(DTYPES)}")
            torch_name, size_bytes = DTYPES[dtype]
            if all(type(size) is int and size >= 0 for size in shape) and end - start == math.prod(shape) * size_bytes:
                return TensorEntry(torch_name, tuple(shape), start, end)
    raise _not_safetensors(f"the entry of {name!r} is malformed")


def _check_layout(entries: Mapping[str, TensorEntry], data_bytes: int) -> None:
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)):
        if entry.start != at:
            raise _not_safetensors(f"{name!r} begins at byte {entry.start} of the data instead of {at}")
        at = entry.end
    if at != data_bytes:
        raise _not_safetensors(f"its tensors end at byte {at} of {data_bytes}")


def _not_safetensors(why: str) -> AdapterInvalid:
    return AdapterInvalid(f"{WEIGHTS_FILE}: is not a safetensors file: {why}")
