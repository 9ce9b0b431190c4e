"""Callers by API key, of which only the hash is known here."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from router.identity import Caller
from router.tenants.policy import TENANT_PATTERN
from services.shared.errors import Unauthenticated

BEARER = "bearer "
NO_KEY = "the call has no API key; send it as `authorization: Bearer KEY`, or as `x-api-key`"


class ApiKey(BaseModel):
    """One key: `printf %s KEY | sha256sum`, whose it is, and whether its holder may write budgets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    tenant: Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
    name: str = Field("", max_length=128)
    admin: bool = False


class _KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[ApiKey, ...] = Field(min_length=1)


@dataclass(frozen=True)
class ApiKeys:
    """Tells callers by `authorization: Bearer KEY` or `x-api-key`."""

    by_sum: Mapping[str, Caller]

    @classmethod
    def read(cls, file: Path) -> Self:
        """Of a YAML file `keys: [{sha256, tenant, name, admin}]`. Raises ValueError naming the field, and OSError."""
        try:
            keys = _KeyFile.model_validate(yaml.safe_load(file.read_text())).keys
        except yaml.YAMLError as error:
            raise ValueError(f"{file} is not YAML: {error}") from error
        except ValidationError as error:
            # without the input, which may be a key in plain text
            wrong = (f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
            raise ValueError(f"{file}: {'; '.join(wrong)}") from None
        callers = {key.sha256: Caller(key.tenant, key.name or key.tenant, key.admin) for key in keys}
        if len(callers) < len(keys):
            raise ValueError(f"{file}: a sha256 is there twice")
        return cls(callers)

    def resolve(self, headers: Mapping[str, str], peer: str) -> Caller:
        given = headers.get("authorization", "")
        key = given[len(BEARER) :] if given.lower().startswith(BEARER) else headers.get("x-api-key", "")
        if not key:
            raise Unauthenticated(NO_KEY)
        caller = self.by_sum.get(hashlib.sha256(key.encode()).hexdigest())
        if caller is None:
            raise Unauthenticated("the API key is not known here; ask the operator of this router for one")
        return caller
