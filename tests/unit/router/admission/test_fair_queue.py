"""The queue of a router: turns that nobody gets twice, bounds, deadlines, and waiters that leave."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.admission.fair_queue import QUEUE_FULL, FairQueue, QueueSettings
from router.admission.waiting import Waiting
from router.budgets.limits import Priority
from services.shared.errors import DeadlineExceeded, ResourceExhausted

ONE = Waiting("a", Priority.DEFAULT, weight=1.0, cost_tokens=10, kv_tokens=10)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Replica:
    """Some slots, and a queue for them. It counts as a router does: right behind a turn, before it awaits anything."""

    def __init__(self, slots: int, **bounds: int) -> None:
        self.slots, self.served, self.clock = slots, list[Waiting](), Clock()
        self.queue = FairQueue(lambda kv_tokens: kv_tokens <= self.slots, QueueSettings(**bounds), self.clock)

    async def serve(
        self, waiting: Waiting, until: asyncio.Event | None = None, seconds_left: float | None = None
    ) -> float:
        waited = await self.queue.turn(waiting, seconds_left)
        self.slots -= waiting.kv_tokens
        assert self.slots >= 0, "one place was given twice"
        self.served.append(waiting)
        try:
            if until:
                await until.wait()
        finally:
            self.give(waiting.kv_tokens)
        return waited

    def give(self, slots: int) -> None:
        self.slots += slots
        self.queue.wake()


async def started(*works) -> list[asyncio.Task[float]]:
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.sleep(0)
    return tasks


async def end(tasks: list[asyncio.Task[float]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_with_room_and_nobody_before_it_a_request_goes_on_without_a_task_switch():
    replica = Replica(10)
    turn = replica.queue.turn(ONE, 1.0)
    with pytest.raises(StopIteration) as stopped:
        turn.send(None)
    assert stopped.value.value == 0.0


async def test_without_room_it_waits_until_there_is_some_and_says_how_long():
    replica = Replica(0)
    (task,) = await started(replica.serve(ONE))
    replica.clock.now = 3.0
    replica.queue.wake()
    await asyncio.sleep(0)
    assert not task.done()
    replica.give(10)
    assert await task == 3.0
    assert (len(replica.queue), dict(replica.queue.counts)) == (0, {})


async def test_one_freed_place_is_given_to_one_although_more_come_at_the_same_moment():
    replica, until = Replica(10), asyncio.Event()
    tasks = await started(*(replica.serve(ONE, until) for _ in range(3)))
    assert len(replica.queue) == 2
    replica.give(10)
    # comes between the turn and the moment when its owner counts it
    tasks += await started(replica.serve(replace(ONE, tenant="b"), until))
    await asyncio.sleep(0.01)
    assert (replica.slots, len(replica.served), len(replica.queue)) == (0, 2, 2)
    until.set()
    await asyncio.gather(*tasks)
    assert len(replica.served) == 4


async def test_a_flood_of_one_tenant_does_not_hold_up_another():
    replica = Replica(0)
    flood = [replica.serve(ONE) for _ in range(50)]
    tasks = await started(*flood, replica.serve(replace(ONE, tenant="b")))
    replica.give(10)
    await asyncio.gather(*tasks)
    assert [waiting.tenant for waiting in replica.served].index("b") <= 1


async def test_small_requests_do_not_overtake_a_large_one_that_has_no_room():
    replica, until = Replica(15), asyncio.Event()
    large, small = replace(ONE, tenant="large", kv_tokens=20), replace(ONE, tenant="small", kv_tokens=5)
    tasks = await started(replica.serve(ONE, until), replica.serve(large), replica.serve(small))
    assert [waiting.tenant for waiting in replica.served] == ["a"]
    replica.slots += 5
    until.set()
    await asyncio.gather(*tasks)
    assert [waiting.tenant for waiting in replica.served] == ["a", "large", "small"]


async def test_one_of_a_higher_class_that_has_room_goes_before_one_that_has_none():
    replica = Replica(5)
    large, urgent = await started(
        replica.serve(ONE), replica.serve(replace(ONE, priority=Priority.INTERACTIVE, kv_tokens=5))
    )
    assert await urgent == 0.0
    assert len(replica.queue) == 1
    await end([large])


async def test_when_a_large_one_leaves_those_behind_it_go_on():
    replica = Replica(5)
    large, small = await started(replica.serve(ONE), replica.serve(replace(ONE, kv_tokens=5)))
    large.cancel()
    await small
    assert (replica.slots, len(replica.queue)) == (5, 0)


@pytest.mark.parametrize(
    ("bounds", "whose"),
    [({"max_waiting_per_tenant": 2}, "2 requests of tenant 'a' wait"), ({"max_waiting": 2}, "2 requests wait")],
)
async def test_one_too_many_is_told_to_come_back_later(bounds, whose):
    replica = Replica(0, **bounds)
    tasks = await started(replica.serve(ONE), replica.serve(ONE))
    with pytest.raises(ResourceExhausted, match=whose) as raised:
        await replica.serve(ONE)
    assert (raised.value.reason, raised.value.retry_after_seconds) == (QUEUE_FULL, 1.0)
    await end(tasks)
    assert len(replica.queue) == 0


async def test_a_full_queue_says_to_come_back_when_about_half_of_it_is_served():
    replica = Replica(0, max_waiting=100)
    await serve_one_a_second(replica)
    tasks = await started(*(replica.serve(ONE) for _ in range(100)))
    with pytest.raises(ResourceExhausted) as raised:
        await replica.serve(ONE)
    assert raised.value.retry_after_seconds == pytest.approx(50, rel=0.2)
    await end(tasks)


async def test_a_deadline_that_has_passed_takes_no_place():
    replica = Replica(10)
    with pytest.raises(DeadlineExceeded, match="allow it more time"):
        await replica.serve(ONE, seconds_left=0.0)
    assert replica.served == []


async def test_a_deadline_that_passes_in_the_queue_ends_the_wait_while_others_go_on():
    replica = Replica(0)
    (patient,) = await started(replica.serve(ONE))
    with pytest.raises(DeadlineExceeded, match="in the queue"):
        await replica.serve(ONE, seconds_left=0.01)
    assert len(replica.queue) == 1
    replica.give(10)
    await patient


async def test_a_deadline_that_cannot_be_met_is_refused_at_once():
    replica = Replica(0)
    await serve_one_a_second(replica)
    tasks = await started(*(replica.serve(ONE) for _ in range(20)))
    with pytest.raises(DeadlineExceeded, match="would wait about"):
        await replica.serve(ONE, seconds_left=10.0)
    assert len(replica.queue) == 20
    # a tenant that has nothing waiting is next, and one with enough time may wait
    tasks += await started(replica.serve(replace(ONE, tenant="b"), seconds_left=10.0), replica.serve(ONE, None, 100.0))
    assert len(replica.queue) == 22
    await end(tasks)


async def test_before_anything_is_known_of_the_speed_no_deadline_is_refused():
    replica = Replica(0)
    tasks = await started(*(replica.serve(ONE, seconds_left=0.5) for _ in range(100)))
    assert len(replica.queue) == 100
    await end(tasks)


async def test_who_is_first_is_never_refused_however_slow_it_was():
    replica = Replica(0)
    await serve_one_a_second(replica)
    replica.clock.now += 1000.0
    (only,) = await started(replica.serve(ONE, seconds_left=1.0))
    assert len(replica.queue) == 1
    await end([only])


async def serve_one_a_second(replica: Replica) -> None:
    """Ten requests, one after the other. Nobody waits behind, and nothing is free."""
    tasks = await started(*(replica.serve(ONE, asyncio.Event()) for _ in range(10)))
    for _ in tasks:
        replica.clock.now += 1.0
        replica.give(10)
        await asyncio.sleep(0.001)
    assert (len(replica.served), len(replica.queue)) == (10, 0)
    await end(tasks)
    replica.slots = 0


@pytest.mark.parametrize("ticks", range(3))
async def test_cancelled_just_when_its_turn_comes_leaves_the_place_to_the_next(ticks):
    replica, until = Replica(0), asyncio.Event()
    first, second = await started(replica.serve(ONE, until), replica.serve(ONE))
    replica.give(10)
    for _ in range(ticks):
        await asyncio.sleep(0)
    first.cancel()
    await second
    assert (replica.slots, len(replica.queue), dict(replica.queue.counts)) == (10, 0, {})


async def test_one_that_fails_behind_its_turn_leaves_the_place_to_the_next():
    replica = Replica(0)

    async def fail() -> None:
        await replica.queue.turn(ONE, None)
        raise ValueError

    failing, second = await started(fail(), replica.serve(ONE))
    replica.give(10)
    await second
    with pytest.raises(ValueError):
        await failing


async def test_ten_thousand_wait_and_all_are_served():
    replica = Replica(0, max_waiting=10_000, max_waiting_per_tenant=10_000)
    tasks = await started(*(replica.serve(replace(ONE, tenant=f"t{number % 100}")) for number in range(10_000)))
    assert len(replica.queue) == 10_000
    replica.give(10)
    await asyncio.gather(*tasks)
    assert (len(replica.served), replica.slots, len(replica.queue)) == (10_000, 10, 0)


STEPS = st.lists(st.tuples(st.sampled_from(["come", "cancel", "end", "tick"]), st.integers(0, 30)), max_size=60)


@settings(deadline=None)
@given(STEPS, st.integers(0, 40))
def test_whoever_leaves_when_no_place_is_lost_or_given_twice(steps, slots):
    asyncio.run(walk(steps, slots))


async def walk(steps: list[tuple[str, int]], slots: int) -> None:
    replica, tasks, ends = Replica(slots), [], []
    for step, number in steps:
        if step == "come":
            ends.append(asyncio.Event())
            waiting = Waiting("abc"[number % 3], Priority(number % 3 + 1), 1.0, number, number % 13)
            tasks.append(asyncio.ensure_future(replica.serve(waiting, ends[-1])))
        elif step == "tick":
            await asyncio.sleep(0)
        elif tasks and step == "cancel":
            tasks[number % len(tasks)].cancel()
        elif tasks:
            ends[number % len(tasks)].set()
    for _ in range(4 * len(tasks)):
        await asyncio.sleep(0)
    head = replica.queue._order.first()
    assert head is None or head.waiting.kv_tokens > replica.slots
    await end(tasks)
    assert (replica.slots, len(replica.queue), dict(replica.queue.counts)) == (slots, 0, {})
