"""The router's queue before one runtime that runs two requests at once: fair, bounded, and aware of deadlines."""

import asyncio
from collections import Counter

import grpc
import pytest

from tests.integration.clients import Client, generate_request, until
from tests.integration.router_calls import LONG, long_call, refusal, rest, retry_info
from tests.processes import AT_DEADLINE, ServerProcess

RUNNING = 2
# and one more is sent, so that the runtime never waits for the router
SENT = RUNNING + 1


@pytest.fixture
def start(start_runtime, start_router):
    """start(tokens_per_second, ROUTER_...=...): the router, and the runtime behind it."""

    def start(tokens_per_second: float, **variables) -> tuple[ServerProcess, ServerProcess]:
        runtime = start_runtime(tokens_per_second=tokens_per_second, max_running=RUNNING)
        return start_router(runtime.target, ROUTER_TRUSTED_NETWORKS="127.0.0.0/8", **variables), runtime

    return start


def call_of(client: Client, tenant: str, new_tokens: int = 2, timeout: float | None = None, **fields):
    metadata = (("x-lookaheadkv-tenant", tenant),)
    return client.generation.Generate(
        generate_request(new_tokens=new_tokens, **fields), metadata=metadata, timeout=timeout
    )


async def filled(client: Client, runtime: ServerProcess) -> list[grpc.aio.UnaryStreamCall]:
    """Calls that take every place, and go on; more wait."""
    calls = [await long_call(client) for _ in range(RUNNING)]
    calls += [client.generation.Generate(generate_request(new_tokens=LONG)) for _ in range(SENT - RUNNING)]
    async with Client(runtime.target) as behind:
        await until(behind.load, lambda load: load.in_flight == SENT)
    return calls


async def refused(client: Client, tenant: str, sentence: str) -> grpc.aio.AioRpcError:
    """The refusal with this sentence, as soon as enough requests wait; before that one more would wait, too."""
    return await until(lambda: refusal(call_of(client, tenant, timeout=0.3)), lambda error: sentence in error.details())


async def test_a_tenant_that_floods_does_not_hold_up_another_one_of_the_same_weight(start):
    router, _ = start(tokens_per_second=200)
    done = Counter[str]()

    async def serve(client: Client, tenant: str) -> float:
        responses = await rest(call_of(client, tenant, new_tokens=20))
        done[tenant] += 1
        return responses[-1].complete.decision.queue_time.ToMilliseconds()

    async with Client(router.target) as client:
        await client.ready()
        flood = [asyncio.create_task(serve(client, "flood")) for _ in range(60)]
        await until(lambda: asyncio.sleep(0, done["flood"]), lambda count: count > 0)
        for _ in range(3):
            before = done["flood"]
            await serve(client, "calm")
            # those that ran already, the calm one's own turn, and what runs beside it
            assert done["flood"] - before <= 3 * SENT
        waits = await asyncio.gather(*flood)
    assert done == {"flood": 60, "calm": 3}
    assert max(waits) > 0
    assert router.other_lines == []


async def test_a_full_queue_refuses_with_a_time_to_come_back_and_the_others_go_on(start):
    router, runtime = start(tokens_per_second=20, ROUTER_QUEUE_MAX_WAITING_PER_TENANT=2, ROUTER_QUEUE_MAX_WAITING=3)
    async with Client(router.target) as client:
        await client.ready()
        running = await filled(client, runtime)
        waiting = [call_of(client, "a") for _ in range(2)]
        own = await refused(client, "a", "2 requests of tenant 'a' wait")
        waiting.append(call_of(client, "b"))
        full = await refused(client, "c", "3 requests wait")
        assert {own.code(), full.code()} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert min(retry_info(error).retry_delay.seconds for error in (own, full)) >= 1
        for call in running:
            call.cancel()
        answers = await asyncio.gather(*map(rest, waiting))
    assert [answer[-1].complete.usage.completion_tokens for answer in answers] == [2] * 3
    assert router.other_lines == []


async def test_a_deadline_that_passes_in_the_queue_ends_the_wait(start):
    router, runtime = start(tokens_per_second=20)
    async with Client(router.target) as client:
        await client.ready()
        running = await filled(client, runtime)
        error = await refusal(call_of(client, "a", timeout=0.5, request_id="late"))
        assert error.code() in AT_DEADLINE
        line = router.wait_for("request", request_id="late")
        assert line["status"] in {code.name for code in AT_DEADLINE}
        assert line["target"] == ""
        for call in running:
            call.cancel()
    assert router.other_lines == []


async def test_who_rejects_late_answers_hears_in_time_that_this_one_would_be_late(start, tmp_path):
    seed = tmp_path / "budgets.yaml"
    seed.write_text("tenants: {a: {limits: {on_conflict: reject, ttft_seconds: 0.3}}}")
    router, runtime = start(tokens_per_second=20, ROUTER_POLICY_SEED_PATH=seed)
    async with Client(router.target) as client:
        await client.ready()
        running = await filled(client, runtime)
        error = await refusal(call_of(client, "a"))
        assert (error.code(), "in the queue" in error.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, True)
        for call in running:
            call.cancel()


async def test_a_tenant_of_a_higher_class_is_served_first_whoever_came_before(start, tmp_path):
    seed = tmp_path / "budgets.yaml"
    seed.write_text("tenants: {low: {limits: {priority: bulk}}, high: {limits: {priority: interactive}}}")
    router, runtime = start(tokens_per_second=20, ROUTER_POLICY_SEED_PATH=seed, ROUTER_QUEUE_MAX_WAITING=30)
    async with Client(router.target) as client:
        await client.ready()
        running = await filled(client, runtime)
        waiting = {tenant: [call_of(client, tenant) for _ in range(10)] for tenant in ("low", "other", "high")}
        # all wait when one more is refused
        await refused(client, "more", "30 requests wait")
        for call in running:
            call.cancel()
        answers = {tenant: await asyncio.gather(*map(rest, calls)) for tenant, calls in waiting.items()}
    waits = {
        tenant: [one[-1].complete.decision.queue_time.ToNanoseconds() for one in found]
        for tenant, found in answers.items()
    }
    assert max(waits["high"]) < min(waits["other"])
    assert max(waits["other"]) < min(waits["low"])


async def test_who_is_cancelled_in_the_queue_leaves_no_trace_and_the_next_one_is_served(start):
    router, runtime = start(tokens_per_second=20, ROUTER_QUEUE_MAX_WAITING=1)
    async with Client(router.target) as client:
        await client.ready()
        running = await filled(client, runtime)
        gone = call_of(client, "a", request_id="gone")
        await refused(client, "b", "1 requests wait")
        gone.cancel()
        assert router.wait_for("request", request_id="gone")["status"] == "CANCELLED"
        next_one = call_of(client, "b")
        for call in running:
            call.cancel()
        assert (await rest(next_one))[-1].complete.usage.completion_tokens == 2
        # nothing counts any more: it is served without a wait
        _, complete = await client.answer(generate_request(new_tokens=2))
        assert complete.decision.queue_time.ToNanoseconds() == 0
    assert router.other_lines == []


async def test_while_no_runtime_is_left_nobody_waits(start_pair):
    router, runtimes = start_pair(tokens_per_second=20, max_running=RUNNING)
    async with Client(router.target) as client:
        await client.ready()
        running = [await long_call(client) for _ in range(2 * RUNNING)]
        running += [client.generation.Generate(generate_request(new_tokens=LONG)) for _ in range(4)]
        for runtime in runtimes.values():
            runtime.kill()
        errors = await asyncio.gather(*map(refusal, running))
    assert {error.code() for error in errors} == {grpc.StatusCode.UNAVAILABLE}
