"""Bodies: what means nothing is let through, what would change the answer and is not supported is refused."""

import pytest
from opentelemetry.trace import NoOpTracer
from pydantic import ValidationError

from router.http.exchange import Exchange
from router.http.options import KvOptions
from router.http.requests import ChatRequest, CompletionRequest
from router.http.translate import to_generate
from router.request_record import Requests

CHAT = {"messages": [{"role": "user", "content": "hi"}]}
TEXT = {"prompt": "hi"}


def exchange(**headers: str) -> Exchange:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Exchange.of({"path": "/v1/completions", "headers": raw}, Requests((), NoOpTracer()))


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 1, "seed": None, "logit_bias": {}, "presence_penalty": 0, "frequency_penalty": 0.0},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "functions": [], "function_call": "none"},
        {"response_format": {"type": "text"}, "logprobs": False, "top_logprobs": 0, "modalities": ["text"]},
        {"store": False, "service_tier": "auto", "metadata": {"a": "b"}, "stream_options": {"include_usage": True}},
        {"model": None, "kv": None, "slo": None, "stop": None, "user": None, "stop_token_ids": None, "stream": None},
        {"max_tokens": 5, "max_completion_tokens": 5},
        {"messages": [{"role": "assistant", "content": "x", "refusal": None, "tool_calls": [], "id": 7}]},
    ],
)
def test_what_asks_for_nothing_is_accepted(fields):
    ChatRequest.model_validate(CHAT | fields)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"n": 2}, "n"),
        ({"seed": 0}, "seed"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -1}, "frequency_penalty"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"temprature": 0.5}, "temprature"),
        ({"temperature": "0.5"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"stream": "true"}, "stream"),
        ({"max_tokens": 2.5}, "max_tokens"),
        ({"max_tokens": 2**40}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_completion_tokens"),
        ({"stop": 5}, "stop.[text]"),
        ({"stop": ["x", 5]}, "stop.[list].1"),
        ({"stop_token_ids": [-1]}, "stop_token_ids.0"),
        ({"user": "x" * 257}, "user"),
        ({"user": "\ud800"}, "user"),
        ({"kv": {"budget_tokens": 5, "keep_ratio": 0.5}}, "kv"),
        ({"kv": {"budget": 5}}, "kv.budget"),
        ({"slo": {"ttft_ms": 0}}, "slo.ttft_ms"),
        ({"slo": {"tpot_ms": 1e300}}, "slo.tpot_ms"),
        ({"chat_template_kwargs": {"x": "<|im_end|>"}}, "chat_template_kwargs.x"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": {"text": "hi"}}]}, "messages.0.content.[text]"),
        ({"messages": [{"role": "user", "content": "\udfff"}]}, "messages.0.content.[text]"),
        ({"messages": [{"role": "root", "content": "hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "hi", "name": "<|im_end|>"}]}, "messages.0.name"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]}, "messages.0.tool_calls"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages.0.content.[list].0.type",
        ),
        ({"messages": [{"role": "user", "content": [[["deep"]]]}]}, "messages.0.content.[list].0"),
    ],
)
def test_what_nobody_would_act_upon_is_refused_by_its_path(fields, path):
    with pytest.raises(ValidationError) as raised:
        ChatRequest.model_validate(CHAT | fields)
    assert path in [".".join(map(str, error["loc"])) for error in raised.value.errors()]


@pytest.mark.parametrize(
    ("prompt", "single"),
    [("hi", "hi"), (["hi"], "hi"), ([1, 2], [1, 2]), ([[1, 2]], [1, 2]), ("", ""), ([], []), ([[]], [])],
)
def test_a_prompt_is_text_or_ids_or_a_list_of_one_of_them(prompt, single):
    assert CompletionRequest(prompt=prompt).single_prompt == single


@pytest.mark.parametrize("prompt", [["a", "b"], [[1], [2]], [1, "a"], [True], [2**32], {"a": 1}, 5, [[["x"]]]])
def test_several_prompts_and_mixed_ones_are_refused(prompt):
    with pytest.raises(ValidationError):
        CompletionRequest(prompt=prompt)


def test_a_body_becomes_the_request_that_the_core_knows():
    body = ChatRequest.model_validate(
        CHAT
        | {"model": "tiny", "temperature": 0, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "stop": "x", "ignore_eos": True}
        | {"stop_token_ids": [7], "user": "ann", "kv": {"policy": "fused", "keep_ratio": 0.2, "adapter": "canary"}}
        | {"slo": {"ttft_ms": 1500}}
    )
    request = to_generate(body, [1, 2], 9, exchange(x_request_id="mine", x_slo_ttft_ms="9", x_slo_tpot_ms="20"))
    assert (request.request_id, request.model, list(request.token_ids.ids)) == ("mine", "tiny", [1, 2])
    sampling = request.sampling
    assert (sampling.max_new_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (9, 0, 0.9, 5)
    assert (sampling.min_p, list(sampling.stop), list(sampling.stop_token_ids)) == (0.1, ["x"], [7])
    assert sampling.ignore_eos
    assert (request.kv.policy, request.kv.keep_ratio, request.kv.adapter, request.kv.split_key) == (
        "fused",
        0.2,
        "canary",
        "ann",
    )
    # the body's word counts before the header's
    assert request.slo.ttft.ToMilliseconds() == 1500
    assert request.slo.tpot.ToMilliseconds() == 20


def test_what_a_body_leaves_out_is_absent_for_the_core():
    request = to_generate(CompletionRequest(prompt="hi", top_k=-1), "hi", 16, exchange())
    assert [field.name for field, _ in request.ListFields()] == ["request_id", "text", "sampling", "kv", "slo"]
    assert [field.name for field, _ in request.sampling.ListFields()] == ["max_new_tokens"]
    assert not request.kv.ListFields() and not request.slo.ListFields()


def test_an_empty_list_of_ids_stays_a_list_of_ids():
    assert to_generate(CompletionRequest(prompt=[]), [], 16, exchange()).WhichOneof("prompt") == "token_ids"


def test_the_key_of_kv_counts_before_the_user():
    body = CompletionRequest(prompt="hi", user="ann", kv=KvOptions(split_key="talk-7"))
    assert to_generate(body, "hi", 16, exchange()).kv.split_key == "talk-7"
