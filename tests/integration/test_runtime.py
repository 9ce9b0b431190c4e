"""The runtime process on the fake engine, over real gRPC."""

from protos.generation.v1 import generation_pb2
from tests.integration.clients import Client, generate_request


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
