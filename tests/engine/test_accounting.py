"""Slots are given back by every way in which a request can end."""

import random
import threading

import grpc
import pytest

from tests.engine.client import finish, generate, request
from tests.engine.conftest import POOL_TOKENS, wait_for_free_slots
from tests.engine.reference import Eviction
from tests.processes import AT_DEADLINE, poll

MIXED_REQUESTS = 200
IN_FLIGHT = 6
PLANS = (
    None,
    Eviction("window", 64),
    Eviction("streaming", 64),
    Eviction("window", 96, sinks=8, recent=16),
    Eviction("lookahead", 64),
    Eviction("fused", 64),
)


def run_one(runtime, ids, plan, cancel_after):
    """Send a request; cancel it after so many messages, or read it to its end when None."""
    call = runtime.generation.Generate(request(ids, 12, plan))
    if cancel_after is None:
        return len(finish(runtime, call).tokens) == 12
    try:
        for _, _ in zip(range(cancel_after), call, strict=False):
            pass
        call.cancel()
    except grpc.RpcError:
        return False
    return True


def test_slots_are_all_back_after_200_mixed_requests_with_random_cancels(runtime, text_ids):
    chance = random.Random(0)
    work = []
    for _ in range(MIXED_REQUESTS):
        start, length = chance.randrange(0, 600, 40), chance.randrange(140, 300)
        cancel_after = chance.choice([None, None, 0, 1, 3])
        work.append((text_ids[start : start + length], chance.choice(PLANS), cancel_after))
    results, lock = [], threading.Lock()

    def worker():
        while True:
            with lock:
                if not work:
                    return
                item = work.pop()
            results.append(run_one(runtime, *item))

    threads = [threading.Thread(target=worker) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * MIXED_REQUESTS
    wait_for_free_slots(runtime)


@pytest.mark.parametrize("plan", [None, Eviction("window", 64)], ids=["full", "window"])
def test_cancel_during_prefill_gives_the_slots_back(runtime, text_ids, plan):
    call = runtime.generation.Generate(request(text_ids[1500:3500], 12, plan))
    poll(lambda: runtime.free_slots() < POOL_TOKENS, 30)
    call.cancel()
    wait_for_free_slots(runtime)


def test_deadline_during_decode_gives_the_slots_back(runtime, text_ids):
    ids = text_ids[:400]
    generate(runtime, ids, 1)
    with pytest.raises(grpc.RpcError) as raised:
        finish(runtime, runtime.generation.Generate(request(ids, 3000, Eviction("window", 64)), timeout=3))
    assert raised.value.code() in AT_DEADLINE
    wait_for_free_slots(runtime)


def test_second_turn_hits_the_prefix_of_the_first(runtime, text_ids):
    first = text_ids[700:1200]
    answer = generate(runtime, first, 16, Eviction("window", 64))
    second = [*first, *answer.tokens, *text_ids[1200:1240]]
    follow_up = generate(runtime, second, 4, Eviction("window", 64))
    # the compacted answer never enters the tree, the whole first prompt does
    assert follow_up.complete.usage.cached_tokens == len(first)


def test_request_for_whose_kept_tokens_there_is_no_room_stays_whole_and_says_so(runtime, text_ids):
    ids = text_ids[2000:4200]
    holder = runtime.generation.Generate(request(ids, 40))
    first = next(holder).chunk.token_ids
    # the holder's lock keeps the shared prompt in the pool, so 2000 tokens more do not fit
    answer = generate(runtime, ids, 8, Eviction("window", 2000))
    assert answer.complete.kv.policy == "full"
    assert "has no room for 2000 more tokens" in answer.complete.kv.reasons[0]
    assert answer.tokens == [*first, *finish(runtime, holder).tokens][:8]
