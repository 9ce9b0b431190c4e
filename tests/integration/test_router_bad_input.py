"""Requests that the router refuses, each by name, without harm to the next one."""

import grpc
import pytest

from protos.generation.v1 import generation_pb2
from tests.integration.clients import GENERATION, Client, generate_request
from tests.integration.router_calls import refusal


def sampling(**fields) -> generation_pb2.GenerateRequest:
    return generation_pb2.GenerateRequest(text="w1 w2", sampling=generation_pb2.SamplingParams(**fields))


def hint(**fields) -> generation_pb2.GenerateRequest:
    return generation_pb2.GenerateRequest(text="w1 w2", kv=generation_pb2.KvHint(**fields))


def ids(*tokens: int) -> generation_pb2.GenerateRequest:
    return generation_pb2.GenerateRequest(token_ids=generation_pb2.TokenIds(ids=tokens))


INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
BAD_INPUT = [
    (generation_pb2.GenerateRequest(), INVALID, "prompt: is missing"),
    (generation_pb2.GenerateRequest(text=""), INVALID, "text: "),
    (generation_pb2.GenerateRequest(text="  "), INVALID, "text: has no tokens"),
    (ids(), INVALID, "token_ids: "),
    (ids(1, 1000), INVALID, "token_ids: 1000 is not a token; the vocabulary ends at 999"),
    (ids(1, 2**32 - 1), INVALID, "token_ids: 4294967295 is not a token"),
    (generate_request(4090, 7), INVALID, "sampling.max_new_tokens: 4090 prompt tokens + 7 new tokens"),
    (generate_request(5000, 1), INVALID, "5000 prompt tokens + 1 new tokens are above the context of 4096"),
    (generate_request(request_id="a b"), INVALID, "request_id: "),
    (generate_request(request_id="x" * 129), INVALID, "request_id: "),
    (generate_request(model="other"), NOT_FOUND, "model: 'other' is not here; known: tiny"),
    (hint(policy="windw"), NOT_FOUND, "kv.policy: 'windw' is not here; known: "),
    (hint(budget_tokens=0), INVALID, "kv.budget_tokens: 0"),
    (hint(budget_tokens=-5), INVALID, "kv.budget_tokens: -5"),
    (hint(keep_ratio=0.0), INVALID, "kv.keep_ratio: 0.0"),
    (hint(keep_ratio=1.01), INVALID, "kv.keep_ratio: 1.01"),
    (hint(keep_ratio=float("nan")), INVALID, "kv.keep_ratio: nan"),
    (sampling(temperature=float("nan")), INVALID, "sampling.temperature: nan"),
    (sampling(temperature=-1), INVALID, "sampling.temperature: -1"),
    (sampling(temperature=1e30), INVALID, "sampling.temperature: 1e+30"),
    (sampling(top_p=0.0), INVALID, "sampling.top_p: 0.0"),
    (sampling(top_p=float("inf")), INVALID, "sampling.top_p: inf"),
    (sampling(top_k=0), INVALID, "sampling.top_k: 0"),
    (sampling(min_p=2), INVALID, "sampling.min_p: 2"),
    (sampling(max_new_tokens=0), INVALID, "sampling.max_new_tokens: 0"),
    (sampling(max_new_tokens=-1), INVALID, "sampling.max_new_tokens: -1"),
    (sampling(stop=[""]), INVALID, "sampling.stop.0: "),
    (sampling(stop=["x"] * 17), INVALID, "sampling.stop: "),
    (sampling(stop_token_ids=[5000]), INVALID, "sampling.stop_token_ids: 5000 is not a token"),
    (generate_request(directive=generation_pb2.KvDirective(budget_tokens=5)), INVALID, "directive: is for the router"),
    (generate_request(directive=generation_pb2.KvDirective()), INVALID, "directive: is for the router"),
]


async def test_each_bad_input_is_refused_by_name_and_the_router_goes_on(start_runtime, start_router):
    runtime = start_runtime()
    router = start_router(runtime.target)
    async with Client(router.target) as client:
        await client.ready()
        for request, code, sentence in BAD_INPUT:
            error = await refusal(client.generation.Generate(request))
            assert (error.code(), sentence in error.details()) == (code, True), f"{sentence!r} not in {error.details()}"
        _, complete = await client.answer(generate_request(new_tokens=2))
    assert complete.usage.completion_tokens == 2
    runtime.wait_for("request", request_id=complete.request_id)
    # beside the good one the runtime saw only what it judges by itself: the name of the policy
    assert [line["status"] for line in runtime.events if line["event"] == "request"] == ["NOT_FOUND", "OK"]


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        (b"\x1a\x04\xff\xfe\xfd\xfc", INVALID, "request: does not decode"),
        (b"\xff\xff\xff", INVALID, "request: does not decode"),
        (
            generation_pb2.GenerateRequest(text="w1 " * 3_500_000).SerializeToString(),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "the limit is 4194304; send a shorter prompt",
        ),
    ],
    ids=["invalid UTF-8", "no message", "10 MB"],
)
async def test_bytes_that_are_no_request_are_refused_and_the_router_goes_on(
    start_runtime, start_router, body, code, sentence
):
    router = start_router(start_runtime().target)
    async with Client(router.target) as client:
        await client.ready()
        error = await refusal(client.channel.unary_stream(f"/{GENERATION}/Generate")(body))
        await client.answer(generate_request(new_tokens=1))
    assert error.code() is code
    assert sentence in error.details()
