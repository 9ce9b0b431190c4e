"""The router when a runtime dies, leaves, stands still or refuses."""

import asyncio
import json
import signal
import time

import grpc
from grpc_status import rpc_status

from protos.runtime.v1 import runtime_pb2
from tests.integration.clients import GENERATION, NOT_SERVING, SERVING, Client, generate_request, until
from tests.integration.router_calls import busy_runtime, long_call, refusal, retry_info, target_of
from tests.processes import free_port


async def test_killed_runtime_gives_unavailable_and_the_other_one_answers(start_pair):
    router, runtimes = start_pair(tokens_per_second=20)
    async with Client(router.target) as client:
        await client.ready()
        call = await long_call(client, request_id="cut")
        victim = await busy_runtime(runtimes)
        killed_at = time.monotonic()
        runtimes[victim].kill()
        error = await refusal(call)
        seconds = time.monotonic() - killed_at
        # at once, and more than once: nothing may be sent to the dead one
        for index in range(3):
            await client.answer(generate_request(new_tokens=1, request_id=f"next-{index}"))
        assert await client.check(GENERATION) == SERVING
    assert (error.code(), retry_info(error).retry_delay.seconds) == (grpc.StatusCode.UNAVAILABLE, 1)
    assert seconds < 2
    assert "127.0.0.1" not in error.details()
    (survivor,) = runtimes.keys() - {victim}
    assert {target_of(router, f"next-{index}") for index in range(3)} == {survivor}
    assert router.wait_for("request", request_id="cut")["status"] == "UNAVAILABLE"


async def test_idle_runtime_that_dies_between_two_looks_gets_no_request(start_pair):
    router, runtimes = start_pair(ROUTER_LOAD_POLL_SECONDS=60)
    async with Client(router.target) as client:
        await client.ready()
        victim, survivor = runtimes
        runtimes[victim].kill()
        for index in range(4):
            await client.answer(generate_request(new_tokens=1, request_id=f"next-{index}"))
    assert {target_of(router, f"next-{index}") for index in range(4)} == {survivor}


async def test_without_runtimes_the_router_is_unavailable_until_one_comes_back(start_runtime, start_router):
    port = free_port()
    router = start_router(f"127.0.0.1:{port}")
    async with Client(router.target) as client:
        statuses = await client.check(""), await client.check(GENERATION)
        error = await refusal(client.generation.Generate(generate_request()))
        first = start_runtime(RUNTIME_PORT=port)
        await client.ready()
        await client.answer(generate_request(new_tokens=1))
        first.kill()
        await until(lambda: client.check(GENERATION), lambda status: status == NOT_SERVING, seconds=2)
        gone = await refusal(client.generation.Generate(generate_request()))
        second = start_runtime(RUNTIME_PORT=port)
        await asyncio.to_thread(second.wait_for, "ready")
        came_back_at = time.monotonic()
        await client.ready()
        seconds = time.monotonic() - came_back_at
        await client.answer(generate_request(new_tokens=1))
    assert statuses == (SERVING, NOT_SERVING)
    for refused in (error, gone):
        assert (refused.code(), retry_info(refused).retry_delay.seconds) == (grpc.StatusCode.UNAVAILABLE, 1)
    assert seconds < 3


async def test_runtime_that_stands_still_is_given_up(start_runtime, start_router):
    runtime = start_runtime(tokens_per_second=20)
    router = start_router(runtime.target, ROUTER_KEEPALIVE_SECONDS=1)
    async with Client(router.target) as client:
        await client.ready()
        call = await long_call(client)
        runtime.popen.send_signal(signal.SIGSTOP)
        error = await asyncio.wait_for(refusal(call), 10)
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        runtime.popen.send_signal(signal.SIGCONT)
        await client.ready()
        await client.answer(generate_request(new_tokens=1))


async def test_runtime_that_ends_before_its_request_is_unavailable(start_runtime, start_router):
    runtime = start_runtime(tokens_per_second=20, RUNTIME_SHUTDOWN_GRACE_SECONDS=0)
    router = start_router(runtime.target)
    async with Client(router.target) as client:
        await client.ready()
        call = await long_call(client)
        runtime.terminate()
        error = await refusal(call)
    assert (error.code(), retry_info(error).retry_delay.seconds) == (grpc.StatusCode.UNAVAILABLE, 1)


async def test_draining_runtime_finishes_its_request_and_gets_no_new_one(start_pair):
    router, runtimes = start_pair(tokens_per_second=50)
    async with Client(router.target) as client:
        await client.ready()
        answer = asyncio.create_task(client.answer(generate_request(new_tokens=60)))
        draining = await until(lambda: busy_runtime(runtimes), bool)
        async with Client(draining) as behind:
            await behind.runtime.Drain(runtime_pb2.DrainRequest())
        router.wait_for("runtime out", target=draining, reason="draining")
        for index in range(3):
            await client.answer(generate_request(new_tokens=1, request_id=f"next-{index}"))
        _, complete = await answer
    assert complete.usage.completion_tokens == 60
    assert draining not in {target_of(router, f"next-{index}") for index in range(3)}


async def test_runtime_with_another_model_is_refused(start_runtime, start_router, tiny_model, tmp_path):
    other_model = tmp_path / "other"
    other_model.mkdir()
    config = json.loads((tiny_model / "config.json").read_text())
    (other_model / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    (other_model / "tokenizer.json").write_bytes((tiny_model / "tokenizer.json").read_bytes())
    right, other = start_runtime(), free_port()
    router = start_router(right.target, f"127.0.0.1:{other}")
    async with Client(router.target) as client:
        await client.ready()
        start_runtime(RUNTIME_PORT=other, RUNTIME_MODEL_PATH=other_model)
        await asyncio.to_thread(router.wait_for, "runtime out", target=f"127.0.0.1:{other}", reason="another model")
        for index in range(3):
            await client.answer(generate_request(new_tokens=1, request_id=f"next-{index}"))
    assert {target_of(router, f"next-{index}") for index in range(3)} == {right.target}


async def test_error_of_a_runtime_passes_with_its_details(start_runtime, start_router):
    runtime = start_runtime(tokens_per_second=20)
    router = start_router(runtime.target)
    async with Client(router.target) as client, Client(runtime.target) as behind:
        await client.ready()
        call = await long_call(client, request_id="mine")
        through = await refusal(client.generation.Generate(generate_request(request_id="mine")))
        direct = await refusal(behind.generation.Generate(generate_request(request_id="mine")))
        call.cancel()
    assert through.code() is grpc.StatusCode.ALREADY_EXISTS
    assert rpc_status.from_call(through) == rpc_status.from_call(direct)
