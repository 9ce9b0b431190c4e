"""When a replica is sent another request."""

import pytest

from router.latency.room import Occupancy, RoomRule

RULE = RoomRule(backlog_ratio=0.1)


@pytest.mark.parametrize(
    ("replica", "kv_tokens", "room"),
    [
        (Occupancy(32, 32, 0, 0), 100, True),
        (Occupancy(34, 32, 0, 0), 100, True),
        (Occupancy(35, 32, 0, 0), 100, False),
        (Occupancy(8, 8, 0, 0), 100, True),
        (Occupancy(9, 8, 0, 0), 100, False),
        (Occupancy(500, 0, 0, 0), 100, True),
        (Occupancy(1, 32, 1000, 1000), 100, True),
        (Occupancy(1, 32, 1000, 1000), 101, False),
        (Occupancy(1, 32, 1000, 1000), 1001, True),
        (Occupancy(0, 32, 5000, 1000), 900, True),
    ],
    ids=[
        "places taken, backlog free",
        "last of the backlog",
        "backlog taken",
        "a small engine has a backlog of one",
        "and no more",
        "no limit is known",
        "slots within the backlog",
        "slots beyond it",
        "fits into no pool, so the replica refuses it",
        "idle, whatever its last report says",
    ],
)
def test_room_is_places_and_slots_and_a_little_more(replica, kv_tokens, room):
    assert RULE.has_room(replica, kv_tokens) is room
