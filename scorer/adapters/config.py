"""The size of an adapter: `adapter_config.json` in the words of PEFT."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from scorer.adapters.errors import parse

CONFIG_FILE = "adapter_config.json"
# the linears of a layer, in the order of the forward pass
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


# the kinds of rows that vote in the `fused` policy, each as it is and smoothed
FUSION_COMPONENTS = (
    "lookahead",
    "lookahead_pooled",
    "window",
    "window_pooled",
    "first_token",
    "first_token_pooled",
)


def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in MODULES]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not known; choose from {', '.join(MODULES)}")
    if len(set(names)) < len(names):
        raise ValueError("names a module twice")
    return tuple(name for name in MODULES if name in names)


def _odd(width: int) -> int:
    if width % 2 == 0:
        raise ValueError(f"{width} is even; a width has a token in the middle")
    return width


class FusionConfig(BaseModel):
    """What the weights of the `fused` policy were calibrated with: the fields of that policy, in its words."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    window_tokens: int = Field(32, ge=1, le=4096)
    pool_width: Annotated[int, AfterValidator(_odd)] = Field(5, ge=1, le=1023)
    sink_tokens: int = Field(4, ge=0, le=65536)
    recent_tokens: int = Field(32, ge=0, le=65536)


class AdapterConfig(BaseModel):
    """n lookahead embeddings, and a LoRA that acts on their rows only; the defaults are the paper's.

    `peft_type` is ours, so that PEFT, which would adapt every row, refuses the folder instead of loading it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True)

    peft_type: Literal["LOOKAHEADKV"] = "LOOKAHEADKV"
    lookahead_tokens: int = Field(32, ge=1, le=1024)
    rank: int = Field(8, alias="r", ge=1, le=1024)
    alpha: float = Field(32.0, alias="lora_alpha", gt=0, allow_inf_nan=False)
    target_modules: Annotated[tuple[str, ...], AfterValidator(_in_order)] = MODULES
    fusion: FusionConfig = FusionConfig()

    @property
    def scale(self) -> float:
        """The factor of the LoRA product B A."""
        return self.alpha / self.rank

    def to_json(self) -> bytes:
        """The content of the file."""
        return (self.model_dump_json(by_alias=True, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Of the content of the file. Raises AdapterInvalid naming each unknown or wrong field."""
        return parse(CONFIG_FILE, cls.model_validate_json, content)
