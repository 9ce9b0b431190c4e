"""The scoring configuration of an operator: a YAML file, checked, and per model what is in force."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    model_validator,
)

from scorer.policies import POLICIES, POLICY_NAMES

VERSION_DIGITS = 12


class ConfigError(Exception):
    """A configuration that cannot be used. The message names the field."""


def _known(names: tuple[str, ...], value: str) -> str:
    if value not in names:
        raise ValueError(f"is not a policy; known: {', '.join(names)}")
    return value


def _finite(value: JsonValue) -> JsonValue:
    json.dumps(value, allow_nan=False)
    return value


PolicyName = Annotated[str, AfterValidator(lambda name: _known(POLICY_NAMES, name))]
ScoredPolicyName = Annotated[str, AfterValidator(lambda name: _known(tuple(POLICIES), name))]
Params = dict[str, Annotated[JsonValue, AfterValidator(_finite)]]
Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Tokens = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ModelConfig(_Checked):
    """How prompts are scored, for one model or for all; the defaults are those of a runtime without a scorer."""

    policy: PolicyName = "window"
    policy_params: dict[ScoredPolicyName, Params] = {}
    sink_tokens: Tokens = 4
    recent_tokens: Tokens = 32
    min_budget_tokens: Annotated[Tokens, Field(ge=1)] = 64
    min_evicted_tokens: Tokens = 64

    @property
    def version(self) -> str:
        """Differs whenever any field does."""
        content = json.dumps(self.model_dump(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:VERSION_DIGITS]

    def overridden_by(self, other: Self) -> Self:
        """This, with the fields that `other` sets; parameters are replaced policy by policy."""
        fields: dict[str, Any] = {name: getattr(other, name) for name in other.model_fields_set}
        return self.model_copy(update=fields | {"policy_params": self.policy_params | other.policy_params})


class ConfigFile(_Checked):
    """One section for all models, and one for each that needs something else."""

    default: ModelConfig = ModelConfig()
    models: dict[Fingerprint, ModelConfig] = {}

    @model_validator(mode="before")
    @classmethod
    def _empty_means_defaults(cls, content: Any) -> Any:
        return {} if content is None else content

    def for_model(self, fingerprint: str) -> ModelConfig:
        """What is in force for the model with this fingerprint."""
        return self.default.overridden_by(self.models.get(fingerprint, ModelConfig()))


def read_config_file(path: Path) -> ConfigFile:
    """The content of `path`. Raises ConfigError with one sentence that names the wrong fields."""
    try:
        return ConfigFile.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigError(f"{path}: {'; '.join(problems)}") from error
