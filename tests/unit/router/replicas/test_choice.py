"""Which replica gets a request, by what it has cached and by how it stands."""

import pytest

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from router.latency.room import RoomRule
from router.latency.tracker import Sent
from router.replicas.choice import Wanted, choose
from router.replicas.outliers import OutlierSettings
from router.replicas.prefixes import block_hashes
from router.replicas.replica import Replica
from tests.unit.router.replicas.test_pool import ScriptedRuntime

HASHES = block_hashes(range(4000))
CONVERSATION = Wanted(4000, 10, HASHES)
ANOTHER = Wanted(4000, 10, block_hashes(range(10_000, 14_000)))
REQUEST = generation_pb2.GenerateRequest()


@pytest.fixture
async def two() -> list[Replica]:
    report = runtime_pb2.GetLoadResponse(total_slots=100_000, free_slots=100_000, max_running_requests=4)
    replicas = [Replica(ScriptedRuntime(target, report=report)) for target in ("a:1", "b:1")]
    for replica in replicas:
        await replica.ask()
    return replicas


def picked(replicas: list[Replica], wanted: Wanted, **how) -> str:
    return choose(replicas, wanted, RoomRule(), **how).target


def busy(replica: Replica, calls: int) -> None:
    for _ in range(calls):
        replica.generate(REQUEST, None)


async def test_a_conversation_goes_where_its_beginning_is_also_when_another_one_has_less_to_do(two):
    two[1].sent(HASHES)
    busy(two[1], 1)
    assert (picked(two, CONVERSATION), picked(two, ANOTHER)) == ("b:1", "a:1")


async def test_one_that_has_no_room_loses_its_conversations(two):
    two[1].sent(HASHES)
    busy(two[1], 6)
    assert picked(two, CONVERSATION) == "a:1"


async def test_a_wait_that_is_longer_than_the_prefill_saved_is_not_worth_it(two):
    two[1].sent(HASHES[:2])
    busy(two[1], 1)
    two[1].tracker.send(Sent(50_000, 1000, 10))
    assert picked(two, CONVERSATION) == "a:1"


async def test_one_that_was_tried_is_taken_again_only_when_there_is_no_other(two):
    assert picked(two, ANOTHER, avoid=[two[0]]) == "b:1"
    assert picked(two[:1], ANOTHER, avoid=[two[0]]) == "a:1"


async def test_one_on_probation_gets_one_request_at_a_time(two):
    two[0].standing.put_out(0.0, OutlierSettings(first_seconds=0.0))
    busy(two[1], 2)
    assert picked(two, ANOTHER) == "a:1"
    busy(two[0], 1)
    assert picked(two, ANOTHER) == "b:1"
    # better than none
    assert picked(two[:1], ANOTHER) == "a:1"
