"""A `Generate` request as router and runtime understand it: parsed, checked, immutable."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from google.protobuf.message import Message
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    StringConstraints,
    ValidationError,
)

from protos.generation.v1 import generation_pb2
from services.shared.errors import InvalidArgument, NotFound, Violation

MAX_STOPS = 16
# of an adapter's name, a slash and an alias
MAX_ADAPTER_CHARACTERS = 129
MAX_KEY_CHARACTERS = 256
MAX_SLO_SECONDS = 86400
StopText = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Sampling(_Checked):
    """How tokens are drawn. The defaults are plain sampling from the model's distribution."""

    max_new_tokens: int = Field(128, ge=1)
    temperature: float = Field(1.0, ge=0, le=10)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int | None = Field(None, ge=1)
    min_p: float = Field(0.0, ge=0, le=1)
    stop: tuple[StopText, ...] = Field((), max_length=MAX_STOPS)
    stop_token_ids: tuple[int, ...] = Field((), max_length=MAX_STOPS)
    ignore_eos: bool = False


class Hint(_Checked):
    """What the client would like to be kept."""

    policy: str = ""
    budget_tokens: int | None = Field(None, ge=1)
    keep_ratio: float | None = Field(None, gt=0, le=1)
    adapter: str = Field("", max_length=MAX_ADAPTER_CHARACTERS)
    split_key: str = Field("", max_length=MAX_KEY_CHARACTERS)
    min_retained_mass: float | None = Field(None, gt=0, le=1)


def _seconds(value: Any) -> Any:
    """Of a google.protobuf.Duration's fields."""
    return value.get("seconds", 0) + value.get("nanos", 0) / 1e9 if isinstance(value, dict) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=MAX_SLO_SECONDS)]


def _some(ids: tuple[int, ...]) -> tuple[int, ...]:
    if not ids:
        raise ValueError("is empty; send at least one token")
    return ids


# thousands, and uint32s by protobuf already
TokenIds = Annotated[SkipValidation[tuple[int, ...] | None], AfterValidator(_some)]


class SloHint(_Checked):
    """How fast the client would like its answer, in seconds; None is the tenant's."""

    ttft: Seconds | None = None
    tpot: Seconds | None = None


class Directive(_Checked):
    """What the router decided to keep."""

    policy: str = ""
    budget_tokens: int | None = Field(None, ge=1)
    sink_tokens: int | None = Field(None, ge=0)
    recent_tokens: int | None = Field(None, ge=0)
    reasons: tuple[str, ...] = ()
    adapter: str = Field("", max_length=MAX_ADAPTER_CHARACTERS)
    split_key: str = Field("", max_length=MAX_KEY_CHARACTERS)
    min_retained_mass: float | None = Field(None, gt=0, le=1)
    shared_aliases: tuple[str, ...] = ()


class GenerateCall(_Checked):
    """One checked request. Exactly one of `text` and `token_ids` is set."""

    request_id: str = Field(default_factory=lambda: uuid.uuid4().hex, pattern=r"^[A-Za-z0-9._-]{1,128}$")
    model: str = ""
    text: str | None = Field(None, min_length=1)
    token_ids: TokenIds = None
    sampling: Sampling = Sampling()
    kv: Hint = Hint()
    directive: Directive | None = None
    slo: SloHint = SloHint()


@dataclass(frozen=True)
class ModelLimits:
    """What a request must fit into. `policies` is None where the process that serves it knows them better."""

    model: str
    context_tokens: int
    vocab_size: int
    policies: tuple[str, ...] | None


def parse_generate(request: generation_pb2.GenerateRequest) -> GenerateCall:
    """The request as a `GenerateCall`. Raises InvalidArgument naming every wrong field."""
    fields = _set_fields(request)
    if "token_ids" in fields:
        fields["token_ids"] = tuple(fields["token_ids"].get("ids", ()))
    elif "text" not in fields:
        raise InvalidArgument(Violation("prompt", "is missing; set text or token_ids"))
    try:
        return GenerateCall.model_validate(fields)
    except ValidationError as error:
        raise InvalidArgument(*map(_violation, error.errors())) from error


def check_fits(call: GenerateCall, prompt_ids: Sequence[int], limits: ModelLimits) -> None:
    """Raise NotFound or InvalidArgument unless the model serves `call` with this prompt."""
    if call.model not in ("", limits.model):
        raise NotFound("model", call.model, [limits.model])
    asked = call.directive.policy if call.directive else call.kv.policy
    if asked and limits.policies is not None and asked not in limits.policies:
        raise NotFound("kv.policy", asked, limits.policies)
    violations = [*_id_violations(call, prompt_ids, limits), *_length_violations(call, prompt_ids, limits)]
    if violations:
        raise InvalidArgument(*violations)


def _id_violations(call: GenerateCall, prompt_ids: Sequence[int], limits: ModelLimits) -> list[Violation]:
    named = (("token_ids", prompt_ids), ("sampling.stop_token_ids", call.sampling.stop_token_ids))
    return [
        Violation(field, f"{max(ids)} is not a token; the vocabulary ends at {limits.vocab_size - 1}")
        for field, ids in named
        if ids and max(ids) >= limits.vocab_size
    ]


def _length_violations(call: GenerateCall, prompt_ids: Sequence[int], limits: ModelLimits) -> list[Violation]:
    prompt_tokens, new_tokens = len(prompt_ids), call.sampling.max_new_tokens
    if not prompt_tokens:
        return [Violation("text", "has no tokens; send a longer prompt")]
    if prompt_tokens + new_tokens <= limits.context_tokens:
        return []
    return [
        Violation(
            "sampling.max_new_tokens",
            f"{prompt_tokens} prompt tokens + {new_tokens} new tokens are above the context of "
            f"{limits.context_tokens}; shorten one of them",
        )
    ]


def _set_fields(message: Message) -> dict[str, Any]:
    """The fields that the sender set, nested messages as dictionaries too."""
    return {field.name: _plain(value) for field, value in message.ListFields()}


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return _set_fields(value)
    # a slice of a repeated field is a list, and faster than `list`
    return value if isinstance(value, str | bytes | int | float) else value[:]


def _violation(error: Any) -> Violation:
    field = ".".join(str(part) for part in error["loc"])
    shown = repr(error["input"])
    return Violation(field, f"{shown if len(shown) <= 64 else shown[:64] + '...'}: {error['msg']}")
