"""What a client may send: OpenAI's fields, those that engines have added, and `kv` and `slo`, which are ours."""

from typing import Annotated, Any, Literal, cast

from pydantic import ConfigDict, Discriminator, Field, Tag, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from router.http.base import LIST, TEXT, Body, Int32, Text, Texts, TokenId, off, text_or_list
from router.http.options import KvOptions, SloOptions
from services.shared.generation import MAX_KEY_CHARACTERS

IDS, BATCH = "[ids]", "[batch]"
SEVERAL = PydanticCustomError("several_prompts", "is not one prompt; send a request for each")


class StreamOptions(Body):
    include_usage: bool = Field(False, description="end the stream with a chunk that has `usage`")
    include_obfuscation: Any = off(False)


class Request(Body):
    """What both kinds of requests have."""

    model: Text = Field("", description="empty: the only one served")
    max_tokens: Int32 | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Int32 | None = Field(None, description="0 and -1: all tokens")
    min_p: float | None = None
    stop: Texts | None = None
    stop_token_ids: list[TokenId] = []
    ignore_eos: bool = False
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Text = Field("", max_length=MAX_KEY_CHARACTERS, description="the `split_key` where `kv` names none")
    kv: KvOptions = KvOptions()
    slo: SloOptions = SloOptions()

    n: Any = off(1)
    seed: Any = off()
    logit_bias: Any = off({})
    presence_penalty: Any = off(0)
    frequency_penalty: Any = off(0)
    repetition_penalty: Any = off(1)

    @property
    def max_new_tokens(self) -> int | None:
        return self.max_tokens

    @property
    def with_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return self.stream_options is not None and self.stream_options.include_usage


class TextPart(Body):
    type: Literal["text"]
    text: Text


class Message(Body):
    """What else a message has, ids of a client's own, say, is not for the model, and left aside."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[Annotated[Text, Tag(TEXT)] | Annotated[list[TextPart], Tag(LIST)], Discriminator(text_or_list)]
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    tool_call_id: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    tool_calls: Any = off([])
    function_call: Any = off()
    audio: Any = off()


class ChatRequest(Request):
    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: Int32 | None = Field(None, description="instead of `max_tokens`")
    chat_template_kwargs: dict[str, bool] = Field({}, description="switches of the model's template")

    tools: Any = off([])
    tool_choice: Any = off("none", "auto")
    parallel_tool_calls: Any = off(True, False)
    functions: Any = off([])
    function_call: Any = off("none", "auto")
    response_format: Any = off({"type": "text"})
    logprobs: Any = off(False)
    top_logprobs: Any = off(0)
    modalities: Any = off(["text"])
    audio: Any = off()
    prediction: Any = off()
    reasoning_effort: Any = off()
    verbosity: Any = off()
    web_search_options: Any = off()
    service_tier: Any = off("auto", "default")
    store: Any = off(False)
    # they name or sort requests, and change no answer
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None

    @property
    def max_new_tokens(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @field_validator("max_completion_tokens", mode="after")
    @classmethod
    def _check_one_maximum(cls, value: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("max_tokens", value) not in (None, value):
            raise PydanticCustomError("two_maxima", "max_tokens says something else; choose one of them")
        return value


def _prompt_kind(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, str):
        return LIST
    if isinstance(first, list):
        return BATCH
    return IDS if isinstance(value, list) else TEXT


class CompletionRequest(Request):
    prompt: Annotated[
        Annotated[Text, Tag(TEXT)]
        | Annotated[list[TokenId], Tag(IDS)]
        | Annotated[list[Text], Tag(LIST)]
        | Annotated[list[list[TokenId]], Tag(BATCH)],
        Discriminator(_prompt_kind),
    ] = Field(description="one prompt: text, token ids, or a list of one of them")

    best_of: Any = off(1)
    echo: Any = off(False)
    logprobs: Any = off()
    suffix: Any = off("")

    @property
    def single_prompt(self) -> str | list[int]:
        """The only prompt."""
        several = isinstance(self.prompt, list) and self.prompt and not isinstance(self.prompt[0], int)
        return cast(str | list[int], self.prompt[0] if several else self.prompt)

    @field_validator("prompt", mode="after")
    @classmethod
    def _check_one_prompt(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) > 1 and not isinstance(value[0], int):
            raise SEVERAL
        return value
