"""The router process in front of runtimes on the fake engine: budgets, choice, streams."""

import asyncio
import json
import signal

import grpc
import pytest

from protos.generation.v1 import generation_pb2
from tests.integration.clients import GENERATION, NOT_SERVING, Client, generate_request, prompt, until
from tests.integration.router_calls import LONG, busy_runtime, long_call, refusal, rest, target_of
from tests.processes import AT_DEADLINE


async def test_answer_streams_with_the_reasons_of_the_router_and_one_log_line(start_pair):
    router, runtimes = start_pair(tokens_per_second=200)
    async with Client(router.target) as client:
        await client.ready()
        chunks, complete = await client.answer(generate_request(300, 20, budget_tokens=100, request_id="mine"))
    assert len(chunks) > 1
    assert sum(len(chunk.token_ids) for chunk in chunks) == 20
    assert (complete.request_id, complete.usage.prompt_tokens, complete.usage.completion_tokens) == ("mine", 300, 20)
    assert (complete.kv.policy, complete.kv.kept_tokens, complete.kv.budget_tokens) == ("window", 100, 100)
    assert list(complete.kv.reasons) == ["request_hint allows 100 tokens, the prompt has 300"]
    line = router.wait_for("request", request_id="mine")
    assert (line["tenant"], line["prompt_tokens"], line["status"]) == ("default", 300, "OK")
    assert (line["decision"]["rule"], line["decision"]["granted_tokens"]) == ("request_hint", 100)
    assert line["target"] in runtimes and line["seconds"] > 0
    assert "w17" not in json.dumps(router.events)


@pytest.mark.parametrize(
    ("hint", "kept", "policy", "first_reason"),
    [
        ({}, 800, "window", "prompt_length allows 800 tokens, the prompt has 3200"),
        ({"policy": "streaming"}, 800, "streaming", "prompt_length allows 800 tokens, the prompt has 3200"),
        ({"keep_ratio": 0.5}, 1600, "window", "request_hint allows 1600 tokens, the prompt has 3200"),
        ({"budget_tokens": 1}, 64, "window", "raised from 1 to the floor of 64 tokens"),
        ({"policy": "full"}, 3200, "full", "no rule caps the 3200 prompt tokens"),
    ],
)
async def test_budget_follows_hint_and_prompt_length(start_runtime, start_router, hint, kept, policy, first_reason):
    runtime = start_runtime()
    router = start_router(runtime.target, ROUTER_SHORTEST_BUDGET_TOKENS=500)
    request = generate_request(3200, 2)
    request.kv.CopyFrom(generation_pb2.KvHint(**hint))
    async with Client(router.target) as client:
        await client.ready()
        _, complete = await client.answer(request)
    assert (complete.kv.kept_tokens, complete.kv.policy) == (kept, policy)
    assert complete.kv.reasons[0] == first_reason


async def test_least_loaded_runtime_gets_the_request(start_pair):
    router, runtimes = start_pair(tokens_per_second=20)
    async with Client(router.target) as client:
        await client.ready()
        long = await long_call(client)
        busy = await busy_runtime(runtimes)
        for index in range(4):
            request = generate_request(new_tokens=1, request_id=f"short-{index}")
            # nothing that another one begins with
            request.text = f"w{index + 1} {request.text}"
            await client.answer(request)
        long.cancel()
    (idle,) = runtimes.keys() - {busy}
    assert [target_of(router, f"short-{index}") for index in range(4)] == [idle] * 4


async def test_many_requests_at_once_are_spread_and_each_gets_its_own_answer(start_pair):
    router, runtimes = start_pair()
    async with Client(router.target) as client:
        await client.ready()
        requests = [
            generation_pb2.GenerateRequest(
                text=prompt(100 + index),
                sampling=generation_pb2.SamplingParams(max_new_tokens=5),
                request_id=f"many-{index}",
            )
            for index in range(40)
        ]
        answers = await asyncio.gather(*map(client.answer, requests))
    assert [complete.usage.prompt_tokens for _, complete in answers] == [100 + index for index in range(40)]
    targets = [target_of(router, f"many-{index}") for index in range(40)]
    # not half and half: an answer that ends early makes its runtime the less loaded one
    assert min(targets.count(target) for target in runtimes) >= 10


async def test_cancelling_frees_the_runtime_at_once(start_runtime, start_router):
    runtime = start_runtime(tokens_per_second=20)
    router = start_router(runtime.target)
    async with Client(router.target) as client, Client(runtime.target) as behind:
        await client.ready()
        call = await long_call(client, request_id="mine")
        assert (await behind.load()).in_flight == 1
        call.cancel()
        await until(behind.load, lambda load: load.in_flight == 0, seconds=1)
    assert router.wait_for("request", request_id="mine")["status"] == "CANCELLED"


async def test_deadline_frees_the_runtime_at_once(start_runtime, start_router):
    runtime = start_runtime(tokens_per_second=20)
    router = start_router(runtime.target)
    async with Client(router.target) as client, Client(runtime.target) as behind:
        await client.ready()
        error = await refusal(
            client.generation.Generate(generate_request(new_tokens=LONG, request_id="x"), timeout=0.5)
        )
        await until(behind.load, lambda load: load.in_flight == 0, seconds=1)
    assert error.code() in AT_DEADLINE
    assert router.wait_for("request", request_id="x")["status"] in {code.name for code in AT_DEADLINE}
    assert router.other_lines == []


async def test_runtime_keeps_to_the_deadline_although_the_router_stands_still(start_runtime, start_router):
    runtime = start_runtime(tokens_per_second=20)
    router = start_router(runtime.target)
    async with Client(router.target) as client, Client(runtime.target) as behind:
        await client.ready()
        call = client.generation.Generate(generate_request(new_tokens=LONG), timeout=1)
        await call.read()
        router.popen.send_signal(signal.SIGSTOP)
        await until(behind.load, lambda load: load.in_flight == 0, seconds=5)
        assert (await refusal(call)).code() in AT_DEADLINE


async def test_sigterm_lets_a_request_in_flight_finish_although_someone_watches_health(start_runtime, start_router):
    router = start_router(start_runtime(tokens_per_second=50).target, ROUTER_SHUTDOWN_GRACE_SECONDS=60)
    async with Client(router.target) as client:
        await client.ready()
        watch = client.watch_health()
        await watch.read()
        # long enough to be in flight still when a busy machine sends the next request
        call = client.generation.Generate(generate_request(new_tokens=250))
        await call.read()
        router.terminate()
        await until(lambda: client.check(GENERATION), lambda status: status == NOT_SERVING)
        refused = await refusal(client.generation.Generate(generate_request()))
        responses = await rest(call)
        assert await asyncio.to_thread(router.wait, 30) == 0
        watch.cancel()
    assert responses[-1].complete.usage.completion_tokens == 250
    assert (refused.code(), "shutting down" in refused.details()) == (grpc.StatusCode.UNAVAILABLE, True)
