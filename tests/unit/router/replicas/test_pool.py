"""Which runtime gets a request, and which one gets none."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc.aio import AioRpcError, Metadata
from structlog.testing import capture_logs

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from router.latency.model import Observation
from router.replicas.choice import Wanted
from router.replicas.pool import PoolSettings, ReplicaPool
from router.replicas.replica import Replica
from services.shared.errors import Unavailable
from services.shared.tracing.context import Headers

MODEL = runtime_pb2.GetModelInfoResponse(
    model="tiny", fingerprint="f1", context_tokens=4096, vocab_size=1000, policies=["full", "window"]
)
REQUEST = generation_pb2.GenerateRequest()
WANTED = Wanted(100, 10)


class Stream:
    """An answer that goes on until it is ended."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Any], None]] = []

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(callback)

    def cancel(self) -> bool:
        for callback in self._callbacks:
            callback(self)
        return True

    def __aiter__(self) -> AsyncIterator[generation_pb2.GenerateResponse]:
        raise NotImplementedError


@dataclass
class ScriptedRuntime:
    """Says of itself what a test wants."""

    target: str
    model: runtime_pb2.GetModelInfoResponse = field(default_factory=lambda: MODEL)
    report: runtime_pb2.GetLoadResponse = field(default_factory=runtime_pb2.GetLoadResponse)
    error: grpc.StatusCode | None = None
    broken: bool = False
    # happens while a report is on its way
    on_load: Callable[[], object] = lambda: None

    def connected(self) -> bool:
        return not self.broken

    async def model_info(self) -> runtime_pb2.GetModelInfoResponse:
        return self.model

    async def load(self) -> runtime_pb2.GetLoadResponse:
        if self.error:
            raise failure(self.error)
        self.on_load()
        return self.report

    def generate(
        self, request: generation_pb2.GenerateRequest, timeout_seconds: float | None, headers: Headers
    ) -> Stream:
        return Stream()


def failure(code: grpc.StatusCode) -> AioRpcError:
    return AioRpcError(code, Metadata(), Metadata(), "Socket closed")


class Setup:
    """A pool over two scripted runtimes."""

    def __init__(self) -> None:
        self.runtimes = [ScriptedRuntime("a:1"), ScriptedRuntime("b:1")]
        self.replicas = [Replica(runtime) for runtime in self.runtimes]
        self.pool = ReplicaPool(self.replicas, PoolSettings(poll_seconds=0.001))

    async def refresh(self) -> None:
        for replica in self.replicas:
            await self.pool.refresh(replica)

    def picks(self, count: int) -> list[str]:
        return [self.pool.pick(WANTED).target for _ in range(count)]


@pytest.fixture
async def two() -> Setup:
    setup = Setup()
    await setup.refresh()
    return setup


async def test_idle_replicas_take_turns(two):
    assert two.picks(4) == ["a:1", "b:1", "a:1", "b:1"]


async def test_own_calls_count_at_once_and_until_they_end(two):
    streams = [two.replicas[0].generate(REQUEST, None) for _ in range(2)]
    assert two.picks(3) == ["b:1", "b:1", "b:1"]
    for stream in streams:
        stream.cancel()
    assert set(two.picks(2)) == {"a:1", "b:1"}


async def test_calls_of_other_routers_count_and_own_ones_are_not_counted_twice(two):
    two.replicas[0].generate(REQUEST, None)
    two.runtimes[0].report.in_flight = 1
    two.runtimes[1].report.in_flight = 2
    await two.refresh()
    assert two.picks(2) == ["a:1", "a:1"]
    two.runtimes[0].report.in_flight = 4
    await two.refresh()
    assert two.picks(2) == ["b:1", "b:1"]


async def test_among_equally_busy_replicas_the_one_with_more_free_memory_wins(two):
    two.runtimes[0].report.MergeFrom(runtime_pb2.GetLoadResponse(total_slots=1000, free_slots=100))
    two.runtimes[1].report.MergeFrom(runtime_pb2.GetLoadResponse(total_slots=100, free_slots=50))
    await two.refresh()
    assert two.picks(2) == ["b:1", "b:1"]


async def test_a_call_that_ends_while_a_report_is_on_its_way_is_nobody_elses(two):
    stream = two.replicas[0].generate(REQUEST, None)
    two.runtimes[0].report.in_flight = 1
    two.runtimes[0].on_load = stream.cancel
    await two.refresh()
    assert two.replicas[0].occupancy.calls == 0


async def test_there_is_room_while_one_replica_has_some_and_that_one_is_picked(two):
    for runtime in two.runtimes:
        runtime.report.MergeFrom(runtime_pb2.GetLoadResponse(max_running_requests=2, total_slots=100, free_slots=100))
    two.runtimes[1].report.in_flight = 2
    await two.refresh()
    assert two.pool.has_room(50)
    for _ in range(3):
        two.replicas[0].generate(REQUEST, None)
    # two run at once, and one is sent ahead
    assert (two.pool.has_room(50), two.picks(1)) == (True, ["b:1"])
    two.replicas[1].generate(REQUEST, None)
    assert not two.pool.has_room(50)
    two.runtimes[0].broken = True
    assert not two.pool.has_room(50)


async def test_a_replica_that_is_left_alone_has_no_room_for_what_waits(two):
    two.runtimes[1].report.MergeFrom(runtime_pb2.GetLoadResponse(max_running_requests=2, in_flight=3))
    await two.refresh()
    assert two.pool.has_room(50)
    for _ in range(5):
        two.pool.failed(two.replicas[0], grpc.StatusCode.INTERNAL, "oh")
    # the other one is what a request would get, and is full
    assert (two.pool.has_room(50), two.picks(1)) == (False, ["b:1"])
    two.replicas[0].standing.until = 0.0
    assert (two.pool.has_room(50), two.picks(1)) == (True, ["a:1"])


async def test_with_no_replica_left_nobody_waits_for_room(two):
    for runtime in two.runtimes:
        runtime.broken = True
    assert two.pool.has_room(50)


async def test_whoever_waits_for_room_hears_when_a_call_has_ended_or_failed(two):
    woken = []
    two.pool.on_room(lambda: woken.append(two.replicas[0].calls))
    two.replicas[0].generate(REQUEST, None).cancel()
    assert woken == [0]
    two.pool.failed(two.replicas[0], grpc.StatusCode.UNAVAILABLE, "")
    assert len(woken) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda runtime: setattr(runtime.report, "draining", True),
        lambda runtime: setattr(runtime, "error", grpc.StatusCode.UNAVAILABLE),
        lambda runtime: setattr(runtime, "error", grpc.StatusCode.DEADLINE_EXCEEDED),
        lambda runtime: setattr(runtime, "error", grpc.StatusCode.FAILED_PRECONDITION),
        lambda runtime: setattr(runtime, "broken", True),
    ],
    ids=["draining", "unavailable", "silent", "engine did not start", "connection lost"],
)
async def test_a_replica_that_cannot_serve_gets_no_request(two, change):
    change(two.runtimes[0])
    await two.refresh()
    assert two.picks(2) == ["b:1", "b:1"]


async def test_a_replica_whose_call_ends_unavailable_is_out_at_once_and_back_when_it_answers(two):
    two.pool.failed(two.replicas[0], grpc.StatusCode.UNAVAILABLE, "")
    assert two.picks(2) == ["b:1", "b:1"]
    await two.refresh()
    assert "a:1" in two.picks(2)


async def test_a_replica_whose_call_fails_for_its_own_sake_stays(two):
    two.pool.failed(two.replicas[0], grpc.StatusCode.DEADLINE_EXCEEDED, "")
    assert "a:1" in two.picks(2)


async def test_a_replica_with_another_model_is_refused_with_one_log_line():
    setup = Setup()
    setup.runtimes[1].model = runtime_pb2.GetModelInfoResponse(model="other", fingerprint="f2")
    with capture_logs() as logs:
        for _ in range(3):
            await setup.refresh()
    assert setup.picks(2) == ["a:1", "a:1"]
    assert [(line["target"], line["detail"]) for line in logs if line["event"] == "runtime out"] == [
        ("b:1", "other, not tiny")
    ]


async def test_a_replica_that_comes_back_with_another_model_is_refused(two):
    two.runtimes[0].error = grpc.StatusCode.UNAVAILABLE
    await two.refresh()
    two.runtimes[0].error = None
    two.runtimes[0].model = runtime_pb2.GetModelInfoResponse(model="other", fingerprint="f2")
    await two.refresh()
    assert two.picks(2) == ["b:1", "b:1"]


@pytest.mark.parametrize("ask", [lambda pool: pool.pick(WANTED), ReplicaPool.limits])
async def test_with_no_replica_left_the_answer_is_unavailable_with_a_time_to_retry(two, ask):
    for runtime in two.runtimes:
        runtime.broken = True
    with pytest.raises(Unavailable, match="none of 2 runtimes") as raised:
        ask(two.pool)
    assert isinstance(raised.value.details()[0], error_details_pb2.RetryInfo)


async def test_before_the_first_look_nothing_is_picked():
    pool = Setup().pool
    assert not pool.usable
    with pytest.raises(Unavailable):
        pool.pick(WANTED)


async def test_limits_are_those_of_the_model(two):
    limits = two.pool.limits()
    assert (limits.model, limits.context_tokens, limits.vocab_size) == ("tiny", 4096, 1000)
    # a runtime may serve a policy that it cannot run by another one, so it judges the name
    assert limits.policies is None


async def test_usability_is_followed_as_it_changes():
    setup = Setup()
    following = asyncio.gather(*(setup.pool.follow(replica) for replica in setup.replicas))
    async with asyncio.timeout(5):
        await setup.pool.wait_until(usable=True)
        for runtime in setup.runtimes:
            runtime.error = grpc.StatusCode.UNAVAILABLE
        await setup.pool.wait_until(usable=False)
        setup.runtimes[1].error = None
        await setup.pool.wait_until(usable=True)
    assert setup.picks(2) == ["b:1", "b:1"]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_replica_whose_calls_fail_in_a_row_is_left_alone_but_never_more_than_half_of_them(two):
    with capture_logs() as logs:
        for _ in range(5):
            two.pool.failed(two.replicas[0], grpc.StatusCode.INTERNAL, "oh")
            two.pool.failed(two.replicas[1], grpc.StatusCode.INTERNAL, "oh")
    assert two.picks(3) == ["b:1", "b:1", "b:1"]
    assert [(line["target"], line["seconds"]) for line in logs] == [("a:1", 5.0)]
    assert two.replicas[0].reason_out == "left alone"


async def test_a_slow_replica_is_left_alone_and_then_judged_by_what_it_does_from_then_on(two):
    for replica, seconds in zip(two.replicas, (3.0, 0.1), strict=True):
        for _ in range(200):
            replica.tracker.model.observe(Observation(1000, 0, ttft_seconds=seconds))
    await two.refresh()
    assert two.picks(2) == ["b:1", "b:1"]
    assert two.replicas[0].latency.samples == 0


async def test_calls_are_given_up_on_a_replica_that_does_not_tell_its_load(two):
    two.replicas[0].prefixes.remember([1], 0)
    call = two.replicas[0].generate(REQUEST, None)
    call._waiting_since = 0.0
    two.runtimes[0].error = grpc.StatusCode.DEADLINE_EXCEEDED
    await two.refresh()
    assert call._given_up == "it does not tell its load any more"
    assert two.replicas[0].prefixes.matched_tokens([1]) == 0
