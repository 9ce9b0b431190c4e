"""What becomes of a request whose replica fails before it said anything, and after."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
import pytest
from grpc.aio import AioRpcError

from protos.generation.v1 import generation_pb2
from router.admission.fair_queue import FairQueue
from router.budgets import kv_budget, load_rules
from router.budgets.limits import Limits
from router.decisions import Placed, budget_request
from router.dispatch import Dispatch, Job
from router.replicas.choice import Wanted
from router.replicas.pool import ReplicaPool
from router.replicas.replica import Replica
from router.request_record import RequestRecord
from router.retries import RetryBudget
from services.shared.generation import parse_generate
from services.shared.tracing.context import Headers
from tests.unit.router.replicas.test_pool import ScriptedRuntime, failure

CHUNK = generation_pb2.GenerateResponse(chunk=generation_pb2.GenerateChunk(token_ids=[1]))
COMPLETE = generation_pb2.GenerateResponse(complete=generation_pb2.GenerateComplete())
ANSWER = (CHUNK, COMPLETE)
# a response or an AioRpcError
Said = Any


class Lines:
    """An answer that is known from the start; an error in it ends it."""

    def __init__(self, said: Sequence[Said]) -> None:
        self._said = said
        self._callbacks: list[Callable[[Any], None]] = []

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def cancel(self) -> bool:
        for callback in self._callbacks:
            callback(self)
        return True

    async def __aiter__(self) -> AsyncIterator[generation_pb2.GenerateResponse]:
        for one in self._said:
            if isinstance(one, AioRpcError):
                raise one
            yield one


class Saying(ScriptedRuntime):
    """Says the next of `answers` to each call."""

    answers: list[Sequence[Said]]

    def generate(self, request: generation_pb2.GenerateRequest, timeout_seconds: float | None, headers: Headers) -> Any:
        return Lines(self.answers.pop(0))


def job() -> Job:
    request = generation_pb2.GenerateRequest(token_ids=generation_pb2.TokenIds(ids=[1, 2, 3]))
    call = parse_generate(request)
    asked = budget_request(call.kv, call.slo, Limits(), 3, 1)
    placed = Placed("acme", asked, kv_budget(asked, load_rules({})), generation=1)
    return Job(request, call, [1, 2, 3], Wanted(3, 1), lambda replica: placed, lambda: None)


async def answered(*answers: Sequence[Said]) -> tuple[list[generation_pb2.GenerateResponse], RequestRecord]:
    """What the client gets of two replicas that say this, and the record of it."""
    runtimes, left = [Saying("a:1"), Saying("b:1")], list(answers)
    for runtime in runtimes:
        runtime.answers = left
    pool = ReplicaPool([Replica(runtime) for runtime in runtimes])
    for replica in pool.replicas:
        await pool.refresh(replica)
    record = RequestRecord()
    dispatch = Dispatch(pool, FairQueue(pool.has_room), RetryBudget())
    return [response async for response in dispatch.answer(job(), record)], record


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
async def test_a_replica_that_goes_away_before_it_said_anything_is_replaced(code):
    responses, record = await answered([failure(code)], ANSWER)
    assert [response.WhichOneof("event") for response in responses] == ["chunk", "complete"]
    assert (record.attempts, record.target) == (2, "b:1")


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
async def test_nothing_is_tried_again_once_a_part_was_streamed(code):
    with pytest.raises(AioRpcError) as raised:
        await answered([CHUNK, failure(code)], ANSWER)
    assert raised.value.code() is code


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.DEADLINE_EXCEEDED])
async def test_an_error_that_is_not_the_replicas_passes_untouched(code):
    with pytest.raises(AioRpcError) as raised:
        await answered([failure(code)], ANSWER)
    assert raised.value.code() is code
