"""What can be wrong with an adapter.

AdapterError
    AdapterDamaged    its bytes are not the published ones: missing, cut short, wrong checksum
    AdapterInvalid    its bytes are the published ones, but they are not an adapter
    AdapterMismatch   it is an adapter, for another model

Each message names the file, tensor or field, what it is, and what it should be.
"""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError


class AdapterError(Exception):
    """An adapter that must not be used."""


class AdapterDamaged(AdapterError):
    """The bytes are not the ones that were published."""


class AdapterInvalid(AdapterError):
    """The bytes are not an adapter."""


class AdapterMismatch(AdapterError):
    """The adapter belongs to another model."""


ModelT = TypeVar("ModelT", bound=BaseModel)


def parse(file: str, validate: Callable[[bytes], ModelT], content: bytes) -> ModelT:
    """`content` of `file` as checked data. Raises AdapterInvalid with every wrong field."""
    try:
        return validate(content)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors(include_url=False))
        raise AdapterInvalid(f"{file}: {'; '.join(problems)}") from error
