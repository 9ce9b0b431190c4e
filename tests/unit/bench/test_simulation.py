"""Modelled replicas take what their profile says, and the SLO rule before them meets what a fixed budget misses."""

from dataclasses import replace

import pytest

from router.admission.fair_queue import QueueSettings
from router.budgets.base import Budget
from services.bench.router.clock import Clock
from services.bench.router.fairness import flood_trace, judge, simulate_fairness
from services.bench.router.metrics import Served, attainment
from services.bench.router.modelled import ModelledReplica
from services.bench.router.plan import Plan
from services.bench.router.profile import EngineProfile
from services.bench.router.simulation import Simulation, same_memory_tokens
from services.bench.router.trace import Arrival, Tenant

PROFILE = EngineProfile(1e-3, 0.0, 0.01, 1e-5, total_slots=10_000, max_running=8)
TENANT = Tenant("chat", 1.0, 10.0, 1.0)
PLAN = Plan(requests=2000, seconds=1.0, seed=1)


def times(one: Served) -> tuple[float, float]:
    """TTFT and TPOT of what was answered."""
    assert one.ttft_seconds is not None and one.tpot_seconds is not None
    return one.ttft_seconds, one.tpot_seconds


def serve(*requests: tuple[int, int, int], profile: EngineProfile = PROFILE) -> list[Served]:
    """Prompt, kept and new tokens of requests that come at once; how they went, in the order in which they ended."""
    clock, served = Clock(), list[Served]()
    replica = ModelledReplica(profile, clock)
    for prompt, kept, new in requests:
        replica.send(Arrival(0.0, TENANT, prompt, new), Budget(kept, "slo", ()), served.append)
    clock.run(lambda: True)
    assert (replica.calls, replica.free_slots) == (0, profile.total_slots)
    assert replica.tracker.resident_tokens == 0
    return served


def test_one_request_takes_its_prefill_and_its_steps():
    (one,) = serve((1000, 500, 11))
    assert one.ttft_seconds == pytest.approx(1.0)
    # the batch holds 501 tokens in the first step and 510 in the last
    assert one.tpot_seconds == pytest.approx(0.01 + 1e-5 * 505.5)


def test_prefills_wait_for_each_other_and_steps_for_prefills():
    first, second = serve((1000, 1000, 11), (2000, 2000, 11))
    assert [times(first)[0], times(second)[0]] == pytest.approx([1.0, 3.0])
    assert times(first)[1] == pytest.approx(2.0 / 10 + times(second)[1])


def test_what_does_not_fit_waits_until_the_budget_of_another_one_frees_its_slots():
    whole = serve((6000, 6000, 10), (6000, 6000, 10))
    evicted = serve((6000, 1000, 10), (6000, 1000, 10))
    assert times(whole[1])[0] > 12.0
    assert times(evicted[1])[0] == pytest.approx(12.0)


def test_the_same_trace_goes_the_same_way():
    trace = PLAN.trace()[:200]
    assert Simulation(PLAN.profile).run(trace) == Simulation(PLAN.profile).run(trace)


def test_equal_tenants_get_equal_shares_although_one_floods():
    found = simulate_fairness(PLAN.profile, flood_trace(40.0, PLAN.seed))
    assert found.asked_tokens["flood"] > sum(found.served_tokens.values())
    assert found.jain >= 0.95


def test_in_the_order_of_their_arrival_a_flood_takes_what_it_asks_for():
    flood = flood_trace(40.0, PLAN.seed)
    # as one tenant nobody goes before another
    as_one = [replace(arrival, tenant=TENANT) for arrival in flood]
    served = Simulation(PLAN.profile, fixed_tokens=1024).run(as_one, flood[-1].at_seconds)
    names = {arrival.at_seconds: arrival.tenant for arrival in flood}
    by_tenant = [replace(one, arrival=replace(one.arrival, tenant=names[one.arrival.at_seconds])) for one in served]
    assert judge(flood, by_tenant).jain < 0.9


def test_what_waits_for_room_counts_in_the_time_to_its_first_token():
    trace = [Arrival(0.0, TENANT, 1000, 11) for _ in range(20)]
    served = Simulation(PROFILE, replicas=1, fixed_tokens=1000).run(trace)
    assert len(served) == 20 and max(times(one)[0] for one in served) >= 20.0


def test_a_full_queue_refuses():
    bounds = QueueSettings(max_waiting=5, max_waiting_per_tenant=5)
    trace = [Arrival(0.0, TENANT, 1000, 11) for _ in range(20)]
    served = Simulation(PROFILE, replicas=1, fixed_tokens=1000, bounds=bounds).run(trace)
    # eight run and one is sent ahead
    assert [one.ttft_seconds for one in served].count(None) == 20 - 9 - 5


def test_the_rule_meets_the_slo_where_a_fixed_budget_with_the_same_memory_does_not():
    trace = PLAN.trace()
    by_rule = Simulation(PLAN.profile).run(trace)
    kept = sum(one.kept_tokens for one in by_rule) / len(trace)
    tokens = same_memory_tokens(trace, kept)
    assert sum(min(tokens, arrival.prompt_tokens) for arrival in trace) / len(trace) == pytest.approx(kept, rel=0.01)
    fixed = Simulation(PLAN.profile, fixed_tokens=tokens).run(trace)
    assert len(by_rule) == len(fixed) == 2000
    assert attainment(by_rule) >= 0.95 > attainment(fixed)
