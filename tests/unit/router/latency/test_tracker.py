"""The tracker counts what is under way on a replica, and teaches its model what came of it."""

import pytest

from router.latency.model import Prior
from router.latency.tracker import Answered, ReplicaTracker, Sent


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracker(clock: Clock) -> ReplicaTracker:
    found = ReplicaTracker(clock=clock)
    found.reported(10_000, 10_000, 0)
    return found


def test_a_request_counts_with_what_is_kept_of_it_until_it_ends(tracker):
    trip = tracker.send(Sent(4000, 1000, 50))
    assert (tracker.resident_tokens, tracker.queued_prompt_tokens) == (1050, 4000)
    trip.tokens(1)
    assert (tracker.resident_tokens, tracker.queued_prompt_tokens) == (1050, 0)
    trip.end()
    trip.end()
    assert (tracker.resident_tokens, tracker.queued_prompt_tokens) == (0, 0)


def test_a_request_that_ends_without_a_token_leaves_nothing_behind(tracker):
    tracker.send(Sent(4000, 1000, 50)).end()
    assert (tracker.resident_tokens, tracker.queued_prompt_tokens) == (0, 0)
    assert tracker.model.samples == 0


def test_slots_of_others_are_what_the_replica_reports_beside_ours(tracker):
    trip = tracker.send(Sent(4000, 1000, 50))
    # the whole prompt is there while it is prefilled
    tracker.reported(10_000, 10_000 - 4050 - 700, 1)
    assert tracker.resident_tokens == 700 + 1050
    trip.tokens(1)
    tracker.reported(10_000, 10_000 - 1050 - 700, 0)
    assert tracker.resident_tokens == 700 + 1050


def test_requests_of_others_that_wait_count_as_mean_prompts(tracker):
    for _ in range(200):
        tracker.send(Sent(3000, 1000, 50)).end()
    tracker.send(Sent(3000, 1000, 50))
    tracker.reported(10_000, 10_000, 3)
    assert tracker.queued_prompt_tokens == pytest.approx(3 * 3000, abs=2)


def test_the_view_is_of_the_replica_with_what_is_on_its_way_there(tracker):
    tracker.send(Sent(4000, 1000, 50))
    view, prior = tracker.view(500), Prior()
    assert (view.total_slots, view.free_slots, view.resident_tokens) == (10_000, 10_000 - 1050, 1050)
    assert view.ttft_seconds == tracker.model.predict_ttft(500, 4000)
    assert (view.tpot_base_seconds, view.tpot_token_seconds) == (prior.tpot_base_seconds, prior.tpot_token_seconds)


def test_more_on_its_way_than_the_pool_holds_leaves_no_free_slots(tracker):
    for _ in range(20):
        tracker.send(Sent(4000, 1000, 50))
    assert tracker.view(500).free_slots == 0


def test_answers_teach_ttft_by_prompt_and_queue_and_tpot_by_the_batch(tracker, clock):
    for number in range(200):
        small = 100 + 37 * (number % 40)
        ahead = tracker.send(Sent(2000, 100, 10))
        trip = tracker.send(Sent(small, small, 10))
        seconds = 0.1 + 1e-3 * small + 5e-4 * 2000
        ahead.tokens(1)
        trip.tokens(1)
        clock.now += 9 * (0.02 + 1e-5 * (small + 10 + 110))
        trip.tokens(9)
        trip.end(Answered(10, 0, seconds))
        ahead.end()
    assert tracker.model.samples == 200
    assert tracker.model.predict_ttft(1000, 2000) == pytest.approx(2.1, rel=0.05)
    assert tracker.model.predict_tpot(1000) == pytest.approx(0.03, rel=0.05)


def test_an_answer_in_one_message_teaches_no_tpot(tracker, clock):
    trip = tracker.send(Sent(100, 100, 10))
    trip.tokens(10)
    clock.now += 5
    trip.end(Answered(10, 0, 0.5))
    assert tracker.model.samples == 1
    assert tracker.model.tpot_base_seconds == Prior().tpot_base_seconds
