"""Which runtime a router's request goes to, and to which one then, when the first is lost."""

import asyncio
import signal

import grpc

from tests.integration.clients import Client, generate_request, until
from tests.integration.router_calls import busy_runtime, long_call, refusal, retry_info, target_of

# a prompt of 300 tokens takes three seconds until its first token
SLOW_PREFILL = {"prefill_tokens_per_second": 100}
# what notices a hanging runtime is its load here, and not its connection
PATIENT_CONNECTION = {"ROUTER_KEEPALIVE_SECONDS": 60, "ROUTER_LOAD_TIMEOUT_SECONDS": 1}


async def test_request_of_a_runtime_that_dies_before_its_first_token_is_answered_by_another(start_pair):
    router, runtimes = start_pair(**SLOW_PREFILL)
    async with Client(router.target) as client:
        await client.ready()
        answer = asyncio.create_task(client.answer(generate_request(new_tokens=2, request_id="tried-twice")))
        victim = await until(lambda: busy_runtime(runtimes), bool)
        runtimes[victim].kill()
        _, complete = await answer
    assert complete.usage.completion_tokens == 2
    line = router.wait_for("request", request_id="tried-twice")
    assert (line["attempts"], line["status"], line["target"] == victim) == (2, "OK", False)
    assert router.wait_for("tried again", request_id="tried-twice")["target"] == victim


async def test_request_of_a_runtime_that_hangs_before_its_first_token_is_answered_by_another(start_pair):
    router, runtimes = start_pair(**SLOW_PREFILL, **PATIENT_CONNECTION)
    async with Client(router.target) as client:
        await client.ready()
        answer = asyncio.create_task(client.answer(generate_request(new_tokens=2, request_id="tried-twice")))
        victim = await until(lambda: busy_runtime(runtimes), bool)
        runtimes[victim].popen.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(30):
                await answer
        finally:
            runtimes[victim].popen.send_signal(signal.SIGCONT)
    line = router.wait_for("request", request_id="tried-twice")
    assert (line["attempts"], line["target"] == victim) == (2, False)


async def test_stream_of_a_runtime_that_hangs_ends_unavailable(start_pair):
    router, runtimes = start_pair(tokens_per_second=20, **PATIENT_CONNECTION)
    async with Client(router.target) as client:
        await client.ready()
        call = await long_call(client, request_id="cut")
        victim = await busy_runtime(runtimes)
        runtimes[victim].popen.send_signal(signal.SIGSTOP)
        try:
            error = await asyncio.wait_for(refusal(call), 30)
        finally:
            runtimes[victim].popen.send_signal(signal.SIGCONT)
    assert (error.code(), retry_info(error).retry_delay.seconds) == (grpc.StatusCode.UNAVAILABLE, 1)
    assert "hangs" in error.details()
    assert router.wait_for("request", request_id="cut")["attempts"] == 1


async def test_silent_call_is_given_up_on_a_runtime_that_tells_its_load(start_pair):
    router, _ = start_pair(prefill_tokens_per_second=1, ROUTER_SILENT_SECONDS=1)
    async with Client(router.target) as client:
        await client.ready()
        error = await asyncio.wait_for(refusal(client.generation.Generate(generate_request(request_id="r"))), 30)
    assert error.code() is grpc.StatusCode.UNAVAILABLE and "nothing came for 1 s" in error.details()
    # each runtime had its try
    assert router.wait_for("request", request_id="r")["attempts"] == 3


async def test_conversation_stays_with_the_runtime_that_has_its_beginning(start_pair):
    router, _ = start_pair()
    async with Client(router.target) as client:
        await client.ready()
        for turn in range(4):
            # another prompt in between would be the other one's turn
            for name, tokens in (("talk", 400 + 100 * turn), ("other", 10)):
                await client.answer(generate_request(tokens, 1, request_id=f"{name}-{turn}"))
    assert len({target_of(router, f"talk-{turn}") for turn in range(4)}) == 1


async def test_runtimes_are_found_by_a_name(start_runtime, start_router):
    runtime = start_runtime()
    port = runtime.target.rpartition(":")[2]
    router = start_router(f"dns:///localhost:{port}", ROUTER_DNS_SECONDS=0.1)
    async with Client(router.target) as client:
        await client.ready()
        await client.answer(generate_request(new_tokens=1, request_id="r"))
    assert target_of(router, "r").endswith(f":{port}")


async def test_no_request_fails_while_a_runtime_leaves(start_pair):
    router, runtimes = start_pair(tokens_per_second=100)
    failures: list[grpc.aio.AioRpcError] = []
    async with Client(router.target) as client:
        await client.ready()

        async def ask(worker: int) -> None:
            for turn in range(10):
                try:
                    await client.answer(generate_request(50, 10, request_id=f"{worker}-{turn}"))
                except grpc.aio.AioRpcError as error:
                    failures.append(error)

        asking = [asyncio.create_task(ask(worker)) for worker in range(4)]
        leaving = await until(lambda: busy_runtime(runtimes), bool)
        runtimes[leaving].terminate()
        await asyncio.gather(*asking)
    assert failures == []
