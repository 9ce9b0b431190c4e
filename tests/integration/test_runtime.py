"""The runtime process on the fake engine, over real gRPC."""

import asyncio

import grpc
import pytest

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from tests.integration.clients import Client, generate_request, until
from tests.processes import AT_DEADLINE

TOTAL_SLOTS = 20_000


async def test_answer_streams_and_ends_with_usage_and_kv_report(start_runtime):
    async with Client(start_runtime().target) as client:
        await client.ready()
        chunks, complete = await client.answer(generate_request(300, 20, budget_tokens=100))
    assert sum(len(chunk.token_ids) for chunk in chunks) == 20
    assert "".join(chunk.text for chunk in chunks).split() == [f"t{i}" for chunk in chunks for i in chunk.token_ids]
    assert complete.finish_reason == generation_pb2.FINISH_REASON_LENGTH
    assert (complete.usage.prompt_tokens, complete.usage.completion_tokens) == (300, 20)
    assert (complete.kv.policy, complete.kv.kept_tokens, complete.kv.freed_tokens) == ("window", 100, 200)
    assert complete.kv.free_slots_after == complete.kv.free_slots_before + 200
    assert complete.kv.reasons == ["the request asked for 100 tokens"]
    assert complete.kv.ttft.ToNanoseconds() > 0


async def test_prompt_without_a_budget_is_kept_whole_and_says_why(start_runtime):
    async with Client(start_runtime().target) as client:
        await client.ready()
        _, complete = await client.answer(generate_request(300, 5))
    assert (complete.kv.policy, complete.kv.kept_tokens, complete.kv.freed_tokens) == ("full", 300, 0)
    assert complete.kv.reasons == ["no budget was given, so the whole prompt is kept"]


async def test_mass_beside_a_budget_keeps_fewer_tokens_and_says_so_first(start_runtime):
    request = generate_request(300, 5, budget_tokens=200)
    request.kv.min_retained_mass = 0.9
    async with Client(start_runtime().target) as client:
        await client.ready()
        _, complete = await client.answer(request)
    kv = complete.kv
    assert (kv.kept_tokens, kv.freed_tokens, kv.budget_tokens) == (110, 190, 200)
    assert kv.retained_mass >= 0.9
    assert list(kv.reasons) == [
        "retained mass 0.904 reached 0.9 with 110 tokens, below the cap of 200",
        "the request asked for 200 tokens",
        "the request asked for 0.9 of the mass",
    ]


async def test_first_token_comes_alone_and_at_once_and_later_ones_share_messages(start_runtime):
    async with Client(start_runtime(tokens_per_second=200, RUNTIME_COALESCE_SECONDS=0.5).target) as client:
        await client.ready()
        chunks, complete = await client.answer(generate_request(new_tokens=150))
    assert len(chunks[0].token_ids) == 1
    assert complete.kv.ttft.ToNanoseconds() < 500e6
    # 150 tokens at 200 a second are 3 messages; a busy machine makes the answer, never the pause, longer
    assert 2 <= len(chunks) <= 15


async def test_cancelling_gives_the_slots_back_at_once(start_runtime):
    async with Client(start_runtime(tokens_per_second=20).target) as client:
        await client.ready()
        call = client.generation.Generate(generate_request(new_tokens=2000))
        await call.read()
        held = await client.load()
        call.cancel()
        free = await until(client.load, lambda load: load.in_flight == 0, seconds=2)
    assert (held.running_requests, held.in_flight, held.free_slots) == (1, 1, TOTAL_SLOTS - 2300)
    assert (free.running_requests, free.free_slots) == (0, TOTAL_SLOTS)


async def test_passing_the_deadline_gives_the_slots_back_at_once(start_runtime):
    async with Client(start_runtime(tokens_per_second=20).target) as client:
        await client.ready()
        error = await client.refusal(generate_request(new_tokens=2000), timeout=0.3)
        free = await until(client.load, lambda load: load.in_flight == 0, seconds=2)
    assert error.code() in AT_DEADLINE
    assert (free.running_requests, free.free_slots) == (0, TOTAL_SLOTS)


async def test_cancelling_a_queued_request_lets_the_next_one_in(start_runtime):
    async with Client(start_runtime(tokens_per_second=20, max_running=1).target) as client:
        await client.ready()
        running = client.generation.Generate(generate_request(new_tokens=2000))
        await running.read()
        queued = client.generation.Generate(generate_request(new_tokens=2000))
        await until(client.load, lambda load: load.queued_requests == 1)
        last = asyncio.create_task(client.answer(generate_request(new_tokens=2)))
        await until(client.load, lambda load: load.queued_requests == 2)
        queued.cancel()
        await until(client.load, lambda load: load.queued_requests == 1)
        running.cancel()
        _, complete = await last
    assert complete.usage.completion_tokens == 2
    assert complete.kv.queue_time.ToNanoseconds() > 0


async def test_evicted_slots_serve_a_request_that_would_have_waited(start_runtime):
    async with Client(start_runtime(tokens_per_second=20, total_slots=1000).target) as client:
        await client.ready()
        first = client.generation.Generate(generate_request(600, 100, budget_tokens=100))
        await first.read()
        _, complete = await client.answer(generate_request(600, 2, budget_tokens=100))
    assert complete.usage.completion_tokens == 2


async def test_request_id_in_flight_is_refused_and_free_again_afterwards(start_runtime):
    async with Client(start_runtime(tokens_per_second=20).target) as client:
        await client.ready()
        call = client.generation.Generate(generate_request(new_tokens=2000, request_id="mine"))
        await call.read()
        error = await client.refusal(generate_request(request_id="mine"))
        call.cancel()
        await until(client.load, lambda load: load.in_flight == 0)
        _, complete = await client.answer(generate_request(new_tokens=1, request_id="mine"))
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    assert "'mine' is in flight" in error.details()
    assert complete.request_id == "mine"


@pytest.mark.parametrize(
    ("fields", "code", "sentence"),
    [
        ({"model": "other"}, grpc.StatusCode.NOT_FOUND, "model: 'other' is not here; known: tiny"),
        ({"request_id": "a b"}, grpc.StatusCode.INVALID_ARGUMENT, "request_id: 'a b'"),
        ({"prompt_tokens": 5000}, grpc.StatusCode.INVALID_ARGUMENT, "above the context of 4096"),
    ],
)
async def test_wrong_request_is_refused_by_field(start_runtime, fields, code, sentence):
    async with Client(start_runtime().target) as client:
        await client.ready()
        error = await client.refusal(generate_request(**fields))
    assert error.code() is code
    assert sentence in error.details()


async def test_too_large_request_is_refused_with_the_limit(start_runtime):
    async with Client(start_runtime(RUNTIME_MAX_MESSAGE_BYTES=1000).target) as client:
        await client.ready()
        error = await client.refusal(generate_request(500))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "the limit is 1000" in error.details()


async def test_model_info_names_the_model_and_its_policies(start_runtime):
    async with Client(start_runtime(RUNTIME_MODEL_NAME="tiny-model").target) as client:
        await client.ready()
        info = await client.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
    assert (info.model, info.context_tokens, info.vocab_size) == ("tiny-model", 4096, 1000)
    assert (info.layers, info.kv_heads, info.head_dim) == (2, 2, 16)
    assert {"full", "window", "streaming"} <= set(info.policies)
    assert len(info.fingerprint) == 32
