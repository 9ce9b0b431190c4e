"""What the bodies of all requests have in common, and how a field is refused that nobody acts upon."""

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

# as the protobuf fields that they become
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
TokenId = Annotated[int, Field(ge=0, lt=2**32)]
# tags of a union stand in brackets, so that errors can leave them out of a field's path
TEXT, LIST = "[text]", "[list]"
HALF_A_CHARACTER = PydanticCustomError("half_a_character", "holds half of a surrogate pair; send whole characters")
NOT_SUPPORTED = PydanticCustomError("not_supported", "is not supported here; leave it out")


def _whole(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise HALF_A_CHARACTER from error
    return text


# JSON may escape half of a surrogate pair, which is no text
Text = Annotated[str, AfterValidator(_whole)]


def text_or_list(value: Any) -> str:
    """The tag of the union's member that `value` is meant to be."""
    return LIST if isinstance(value, list) else TEXT


Texts = Annotated[Annotated[Text, Tag(TEXT)] | Annotated[list[Text], Tag(LIST)], Discriminator(text_or_list)]


def off(*values: Any) -> Any:
    """A field of OpenAI's API that is not supported: absent, null, or one of `values`, which ask for nothing."""
    return Field(None, json_schema_extra={"enum": [None, *values]}, description="not supported")


class Body(BaseModel):
    """Types are not converted, and unknown fields are refused: either would answer another request than was sent."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        return {name: field for name, field in value.items() if field is not None} if isinstance(value, dict) else value

    @field_validator("*", mode="before")
    @classmethod
    def _check_off(cls, value: Any, info: ValidationInfo) -> Any:
        extra = cls.model_fields[info.field_name or ""].json_schema_extra
        if isinstance(extra, dict) and value not in extra.get("enum", [value]):  # type: ignore[operator]
            raise NOT_SUPPORTED
        return value
