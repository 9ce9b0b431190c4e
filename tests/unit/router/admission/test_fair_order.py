"""The fair order keeps its bounds and loses nobody, whatever requests cost and whoever leaves."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.admission.fair_order import LEAST_SHARE, FairOrder, QueueFull
from router.admission.waiting import LEAST_WEIGHT, Waiting
from router.budgets.limits import Priority

COSTS = st.lists(st.integers(1, 8000), min_size=5, max_size=60)
WEIGHTS = st.sampled_from([0.25, 1.0, 3.0])
TENANTS = ("a", "b", "c")
WAITING = st.builds(
    Waiting, st.sampled_from(TENANTS), st.sampled_from(Priority), WEIGHTS, st.integers(0, 9000), st.just(0)
)
STEPS = st.lists(st.one_of(WAITING, st.just("pop"), st.integers(0, 100)), max_size=80)


def waiting(tenant: str = "a", cost: int = 10, priority: Priority = Priority.DEFAULT, weight: float = 1.0) -> Waiting:
    return Waiting(tenant, priority, weight, cost, cost)


def order_of(*requests: Waiting) -> FairOrder[int]:
    order = FairOrder[int](10_000, 10_000)
    for number, request in enumerate(requests):
        order.push(request, number)
    return order


def drain(order: FairOrder[int]) -> list[Waiting]:
    return [order.pop().waiting for _ in range(len(order))]


@settings(deadline=None)
@given(COSTS, COSTS, WEIGHTS, WEIGHTS, st.sets(st.integers(0, 119)))
def test_tenants_that_both_wait_differ_by_no_more_than_their_largest_requests(ours, theirs, our, their, leave):
    weights, costs = {"a": our, "b": their}, {"a": ours, "b": theirs}
    order = FairOrder[int](10_000, 10_000)
    tickets = [order.push(waiting(name, cost, weight=weights[name]), 0) for name in costs for cost in costs[name]]
    for number in leave:
        if number < len(tickets):
            order.remove(tickets[number])
    work, bound = dict.fromkeys(costs, 0.0), sum(max(costs[name]) / weights[name] for name in costs)
    while len(order.counts) == 2:
        served = order.pop().waiting
        work[served.tenant] += served.cost_tokens / served.weight
        assert abs(work["a"] - work["b"]) <= bound + 1e-6


@settings(deadline=None)
@given(STEPS)
def test_nobody_is_lost_or_served_twice_and_each_tenants_class_is_first_come_first_served(steps):
    order, here, served = FairOrder[int](20, 10), {}, []
    for number, step in enumerate(steps):
        if isinstance(step, Waiting):
            try:
                here[number] = order.push(step, number)
            except QueueFull as full:
                assert full.count == (10 if full.own else 20)
        elif step == "pop" and here:
            ticket = order.first()
            assert ticket and order.pop() is ticket is here.pop(ticket.value)
            served.append(ticket)
        elif step != "pop" and here:
            key = list(here)[step % len(here)]
            assert order.remove(here[key]) and not order.remove(here.pop(key))
        assert len(order) == len(here) <= 20
        assert order.counts == Counter(ticket.waiting.tenant for ticket in here.values())
        assert order.cost_tokens == sum(ticket.waiting.cost_tokens for ticket in here.values())
        assert max(order.counts.values(), default=0) <= 10
    served += [order.pop() for _ in range(len(order))]
    assert order.first() is None
    assert len({ticket.value for ticket in served}) == len(served)
    for tenant in TENANTS:
        for priority in Priority:
            own = [t.value for t in served if (t.waiting.tenant, t.waiting.priority) == (tenant, priority)]
            assert own == sorted(own)


def test_a_higher_class_goes_first_whoever_came_before():
    order = order_of(*(waiting(priority=priority) for priority in Priority))
    assert [served.priority for served in drain(order)] == sorted(Priority, reverse=True)


def test_a_flood_of_one_tenant_does_not_hold_up_another():
    order = order_of(*(waiting("flood") for _ in range(50)), waiting("calm"))
    assert [served.tenant for served in drain(order)].index("calm") == 1


def test_a_tenant_of_twice_the_weight_gets_twice_the_tokens():
    order = order_of(*(waiting(name, weight=weight) for _ in range(60) for name, weight in (("a", 1.0), ("b", 2.0))))
    first = Counter(order.pop().waiting.tenant for _ in range(60))
    assert first["b"] == pytest.approx(40, abs=2)


def test_a_new_weight_holds_from_the_next_request_on():
    order = order_of(*(waiting(name) for _ in range(20) for name in "ab"))
    for _ in range(20):
        order.pop()
    for _ in range(100):
        order.push(waiting("a", weight=3.0), 0)
        order.push(waiting("b"), 0)
    while order.counts["a"] > 100:
        order.pop()
    first = Counter(order.pop().waiting.tenant for _ in range(80))
    assert first["a"] == pytest.approx(60, abs=12)


def test_a_tenant_that_was_away_has_saved_nothing_up():
    order = order_of(*(waiting("busy") for _ in range(100)))
    for _ in range(50):
        order.pop()
    for _ in range(50):
        order.push(waiting("away"), 0)
    first = Counter(order.pop().waiting.tenant for _ in range(20))
    assert first["away"] == pytest.approx(10, abs=1)


def test_leaving_for_a_moment_makes_no_debt_undone():
    order = order_of(waiting("big", cost=1000), *(waiting("small") for _ in range(150)))
    drained = [order.pop().waiting.tenant for _ in range(2)]
    assert sorted(drained) == ["big", "small"]
    order.push(waiting("big", cost=1000), 0)
    assert [served.tenant for served in drain(order)].index("big") >= 98


def test_one_that_leaves_is_not_charged():
    order = FairOrder[int](100, 100)
    costly = order.push(waiting("a", cost=100_000), 0)
    for _ in range(10):
        order.push(waiting("a"), 0)
        order.push(waiting("b"), 0)
    order.remove(costly)
    assert Counter(order.pop().waiting.tenant for _ in range(10)) == {"a": 5, "b": 5}


def test_the_lowest_class_is_served_a_little_although_higher_ones_never_stop():
    order = order_of(*(waiting(priority=Priority.INTERACTIVE) for _ in range(1000)))
    for _ in range(200):
        order.push(waiting("bulk", priority=Priority.BULK), 0)
    served = Counter(order.pop().waiting.priority for _ in range(1000))
    assert served[Priority.BULK] / 1000 == pytest.approx(LEAST_SHARE, abs=0.005)


def test_a_class_that_was_empty_is_owed_nothing():
    order = order_of(waiting(priority=Priority.BULK), *(waiting(priority=Priority.INTERACTIVE) for _ in range(300)))
    for _ in range(150):
        order.pop()
    order.push(waiting("late", priority=Priority.BULK), 0)
    assert [served.tenant for served in drain(order)].index("late") >= 19


def test_what_is_ahead_is_the_own_backlog_and_as_much_of_the_others():
    order = order_of(*(waiting("flood", cost=100) for _ in range(50)), waiting("calm", cost=100))
    assert order.ahead_tokens(waiting("new")) == 0
    assert order.ahead_tokens(waiting("calm")) == 200
    assert order.ahead_tokens(waiting("flood")) == 5100
    assert order.ahead_tokens(waiting("new", priority=Priority.BULK)) == 5100


def test_a_full_queue_says_whose_share_is_full():
    order = FairOrder[int](3, 2)
    order.push(waiting("a"), 0)
    order.push(waiting("a"), 0)
    with pytest.raises(QueueFull) as raised:
        order.push(waiting("a"), 0)
    assert (raised.value.own, raised.value.count) == (True, 2)
    order.push(waiting("b"), 0)
    with pytest.raises(QueueFull) as raised:
        order.push(waiting("c"), 0)
    assert (raised.value.own, raised.value.count) == (False, 3)


@pytest.mark.parametrize("weight", [1e-300, 1e300])
def test_weights_beyond_reason_keep_the_order_going(weight):
    order = order_of(*(waiting(name, weight=weight) for _ in range(5) for name in "ab"), waiting("c"))
    assert len(drain(order)) == 11
    assert waiting(weight=weight).charge <= 10 / LEAST_WEIGHT


def test_tenants_that_left_are_forgotten():
    order = order_of(*(waiting(f"tenant-{number}") for number in range(100)))
    drain(order)
    assert (len(order), dict(order.counts), order.cost_tokens) == (0, {}, 0)
