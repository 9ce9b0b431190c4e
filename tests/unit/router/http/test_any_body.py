"""Whatever JSON comes, it is a request that the core can judge, or it is refused with a sentence."""

import json

from fastapi.exceptions import RequestValidationError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import NoOpTracer
from pydantic import ValidationError

from protos.generation.v1 import generation_pb2
from router.http.errors import failure_of
from router.http.exchange import Exchange
from router.http.requests import ChatRequest, CompletionRequest
from router.http.translate import to_generate
from router.request_record import Requests
from services.shared.errors import InvalidArgument
from services.shared.generation import parse_generate

NUMBERS = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 2**31, 2**32, 2**63, 10**40, 1e308])
# with halves of surrogate pairs, which JSON may escape
TEXTS = st.text(st.characters()) | st.sampled_from(["", "\ud800", "\x00", "\ufdd0", "user", "text", "auto"])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
NAMES = st.sampled_from(
    sorted({*ChatRequest.model_fields, *CompletionRequest.model_fields})
    + [
        "role",
        "content",
        "type",
        "text",
        "policy",
        "budget_tokens",
        "keep_ratio",
        "ttft_ms",
        "tpot_ms",
        "include_usage",
    ]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXTS, inner, max_size=4), max_leaves=8
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=5)


EXCHANGE = Exchange.of({"path": "/v1/completions", "headers": []}, Requests((), NoOpTracer()))


def judged(body: ChatRequest | CompletionRequest, prompt) -> None:
    """Raises InvalidArgument, or nothing."""
    request = to_generate(
        body,
        prompt,
        body.max_new_tokens or 1,
        EXCHANGE,
    )
    parse_generate(generation_pb2.GenerateRequest.FromString(request.SerializeToString()))


@settings(max_examples=300, deadline=None)
@given(BODIES)
def test_any_json_is_judged_or_refused_by_a_sentence(fields):
    chat = {"messages": [{"role": "user", "content": "hi"}]} | fields
    for model, body in ((ChatRequest, chat), (CompletionRequest, {"prompt": "hi"} | fields)):
        try:
            parsed = model.model_validate(body)
            judged(parsed, parsed.single_prompt if isinstance(parsed, CompletionRequest) else [1])
        except InvalidArgument as error:
            assert failure_of(error).status == 400
        except ValidationError as error:
            failure = failure_of(RequestValidationError(error.errors()))
            assert (failure.status, bool(failure.error.message), bool(failure.error.param)) == (400, True, True)
            json.loads(bytes(failure.response().body))
