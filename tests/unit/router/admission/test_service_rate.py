"""The rate at which those that wait are served: of busy times only, of late, and not moved by one odd pause."""

import math

import pytest

from router.admission.service_rate import LEAST_SERVED, ServiceRate


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rate(clock: Clock) -> ServiceRate:
    found = ServiceRate(clock)
    found.waiting(some=True)
    return found


def serve(rate: ServiceRate, clock: Clock, count: int, pause: float = 0.5) -> None:
    """100 tokens after each pause."""
    for _ in range(count):
        clock.now += pause
        rate.served(100)


def test_before_there_are_data_nothing_is_known(rate, clock):
    assert rate.seconds_for(200) is None
    serve(rate, clock, LEAST_SERVED - 1)
    assert rate.seconds_for(200) is None
    serve(rate, clock, 1)
    assert rate.seconds_for(200) == pytest.approx(1, rel=0.2)


def test_many_at_one_moment_tell_nothing(rate, clock):
    serve(rate, clock, 100, pause=0.0)
    assert rate.seconds_for(200) is None


def test_time_in_which_nobody_waits_does_not_count(rate, clock):
    serve(rate, clock, 20)
    rate.waiting(some=False)
    clock.now += 1000
    rate.waiting(some=True)
    assert rate.seconds_for(200) == pytest.approx(1, rel=0.1)


def test_one_odd_pause_moves_it_little_and_a_change_is_believed_in_half_a_minute(rate, clock):
    serve(rate, clock, 100)
    clock.now += 3.0
    assert rate.seconds_for(200) == pytest.approx(1, rel=0.4)
    serve(rate, clock, 300, pause=0.1)
    assert rate.seconds_for(1000) == pytest.approx(1, rel=0.1)


def test_when_nothing_is_served_for_long_no_wait_is_too_long_to_expect(rate, clock):
    serve(rate, clock, 100)
    clock.now += 100
    assert rate.seconds_for(1) > 1
    clock.now += 1e5
    assert rate.seconds_for(1) == math.inf
