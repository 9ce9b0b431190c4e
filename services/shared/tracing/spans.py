"""What spans say of requests and answers: OpenTelemetry's names for generative AI, ours behind `lookaheadkv.`."""

from collections.abc import Mapping

from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.trace import Span, StatusCode
from opentelemetry.util.types import AttributeValue

from protos.generation.v1 import generation_pb2

PROVIDER = "lookaheadkv"
# statuses that are a server's fault, by OpenTelemetry's conventions for gRPC
SERVER_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})

Attributes = Mapping[str, AttributeValue]


def request_attributes(operation: str, model: str, request_id: str) -> dict[str, AttributeValue]:
    """Of a request as the conventions describe it."""
    return {
        gen_ai.GEN_AI_OPERATION_NAME: operation,
        gen_ai.GEN_AI_PROVIDER_NAME: PROVIDER,
        gen_ai.GEN_AI_REQUEST_MODEL: model,
        gen_ai.GEN_AI_RESPONSE_ID: request_id,
    }


def answer_attributes(complete: generation_pb2.GenerateComplete) -> dict[str, AttributeValue]:
    """Of a whole answer: tokens, and what became of its KV."""
    usage, kv = complete.usage, complete.kv
    found: dict[str, AttributeValue] = {
        gen_ai.GEN_AI_RESPONSE_FINISH_REASONS: (finish_reason(complete),),
        gen_ai.GEN_AI_USAGE_INPUT_TOKENS: usage.prompt_tokens,
        gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS: usage.completion_tokens,
        gen_ai.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: usage.cached_tokens,
        "lookaheadkv.kv.policy": kv.policy,
        "lookaheadkv.kv.kept_tokens": kv.kept_tokens,
        "lookaheadkv.kv.freed_tokens": kv.freed_tokens,
    }
    if kv.HasField("retained_mass"):
        found["lookaheadkv.kv.retained_mass"] = kv.retained_mass
    if kv.adapter:
        found["lookaheadkv.adapter.name"] = kv.adapter
        found["lookaheadkv.adapter.version"] = kv.adapter_version
        found["lookaheadkv.adapter.alias"] = kv.adapter_alias
    return found


def finish_reason(complete: generation_pb2.GenerateComplete) -> str:
    """`stop`, `length` or `abort`."""
    return generation_pb2.FinishReason.Name(complete.finish_reason).removeprefix("FINISH_REASON_").lower()


def end_with_status(span: Span, status: str, attributes: Attributes) -> None:
    """End a server's span with these attributes and its gRPC status."""
    span.set_attributes({**attributes, "rpc.response.status_code": status})
    if status in SERVER_ERRORS:
        span.set_attribute("error.type", status)
        span.set_status(StatusCode.ERROR)
    span.end()
