"""How the runtime process starts, drains, stops and dies, on the fake engine."""

import asyncio

import grpc
import pytest

from protos.runtime.v1 import runtime_pb2
from tests.integration.clients import GENERATION, NOT_SERVING, SERVING, Client, generate_request, until


async def test_draining_refuses_new_requests_and_finishes_those_in_flight(start_runtime):
    async with Client(start_runtime(tokens_per_second=100).target) as client:
        await client.ready()
        answer = asyncio.create_task(client.answer(generate_request(new_tokens=50)))
        await until(client.load, lambda load: load.in_flight == 1)
        drained = await client.runtime.Drain(runtime_pb2.DrainRequest())
        error = await client.refusal(generate_request())
        statuses = await client.check(GENERATION), await client.check("")
        load = await client.load()
        _, complete = await answer
    assert drained.in_flight == 1
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "draining" in error.details()
    assert statuses == (NOT_SERVING, SERVING)
    assert load.draining
    assert complete.usage.completion_tokens == 50


async def test_sigterm_lets_a_request_in_flight_finish_although_someone_watches_health(start_runtime):
    runtime = start_runtime(tokens_per_second=100, RUNTIME_SHUTDOWN_GRACE_SECONDS=60)
    async with Client(runtime.target) as client:
        await client.ready()
        watch = client.watch_health()
        await watch.read()
        answer = asyncio.create_task(client.answer(generate_request(new_tokens=50)))
        await until(client.load, lambda load: load.in_flight == 1)
        runtime.terminate()
        _, complete = await answer
        assert await asyncio.to_thread(runtime.wait, 10) == 0
        watch.cancel()
    assert complete.usage.completion_tokens == 50


async def test_grace_period_ends_a_request_that_takes_too_long(start_runtime):
    runtime = start_runtime(tokens_per_second=1, RUNTIME_SHUTDOWN_GRACE_SECONDS=0.2)
    async with Client(runtime.target) as client:
        await client.ready()
        call = client.generation.Generate(generate_request(new_tokens=1000))
        await call.read()
        runtime.terminate()
        assert await asyncio.to_thread(runtime.wait, 10) == 0


async def test_process_serves_health_while_the_engine_starts(start_runtime):
    async with Client(start_runtime(start_seconds=60).target) as client:
        statuses = await client.check(""), await client.check(GENERATION)
        error = await client.refusal(generate_request())
        with pytest.raises(grpc.aio.AioRpcError, match="the engine is starting"):
            await client.load()
    assert statuses == (SERVING, NOT_SERVING)
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_sigterm_ends_a_process_whose_engine_still_starts(start_runtime):
    runtime = start_runtime(start_seconds=60)
    runtime.wait_for("listening")
    runtime.terminate()
    assert await asyncio.to_thread(runtime.wait, 10) == 0


async def test_failed_start_keeps_the_process_and_tells_callers_why(start_runtime):
    runtime = start_runtime(start_error="the model needs 80 GB, there are 40")
    async with Client(runtime.target) as client:
        runtime.wait_for("engine did not start", reason="the model needs 80 GB, there are 40")
        error = await client.refusal(generate_request())
        statuses = await client.check(""), await client.check(GENERATION)
        with pytest.raises(grpc.aio.AioRpcError, match="the model needs 80 GB"):
            await client.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "the model needs 80 GB, there are 40" in error.details()
    assert statuses == (SERVING, NOT_SERVING)
    assert runtime.popen.poll() is None


async def test_missing_model_folder_is_a_failed_start_that_names_the_file(start_runtime, tmp_path):
    runtime = start_runtime(RUNTIME_MODEL_PATH=tmp_path)
    event = await asyncio.to_thread(runtime.wait_for, "engine did not start")
    assert "tokenizer.json does not exist" in event["reason"]


async def test_death_of_the_engine_ends_calls_and_process(start_runtime):
    runtime = start_runtime(tokens_per_second=10, dies_after_seconds=1)
    async with Client(runtime.target) as client:
        await client.ready()
        error = await client.refusal(generate_request(new_tokens=2000))
        assert await asyncio.to_thread(runtime.wait, 10) == 1
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "the engine died: the fake engine died after" in error.details()
    assert runtime.wait_for("engine died")["level"] == "error"


def test_taken_port_ends_the_process_with_one_sentence(start_runtime):
    first = start_runtime()
    port = first.target.rpartition(":")[2]
    second = start_runtime(RUNTIME_PORT=port)
    assert second.wait() == 1
    assert f"cannot listen on 127.0.0.1:{port}; choose another host or port\n" in second.other_lines
