"""What a client gets: OpenAI's objects, with the report on the KV cache in `usage.kv`."""

from typing import Literal

from pydantic import BaseModel


class PromptTokensDetails(BaseModel):
    cached_tokens: int


class KvUsage(BaseModel):
    """What was decided for the prompt's KV, what became of it, and why. As `KvReport` and `BudgetDecision` say."""

    policy: str
    budget_tokens: int
    kept_tokens: int
    freed_tokens: int
    retained_mass: float | None
    reasons: list[str]
    adapter: str
    adapter_version: int
    adapter_alias: str
    config_source: str
    config_version: str
    free_slots_before: int
    free_slots_after: int
    retractions: int
    queue_ms: float
    prefill_ms: float
    scoring_ms: float
    compaction_ms: float
    ttft_ms: float
    tenant: str
    rule: str
    requested_tokens: int | None
    granted_tokens: int
    policy_generation: int
    predicted_ttft_ms: float | None
    predicted_tpot_ms: float | None


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    kv: KvUsage


class AssistantMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    index: int = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class TextChoice(BaseModel):
    index: int = 0
    text: str
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class Completion(BaseModel):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage


class Model(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    max_model_len: int


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class Error(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    error: Error


class State(BaseModel):
    status: str
