"""The benchmark's trace: the same from a seed, mixed, and with bursts."""

import pytest

from services.bench.router.fairness import NAMES, flood_trace
from services.bench.router.plan import PER_SECOND, TENANTS, Plan
from services.bench.router.trace import TraceSpec, build_trace

PLAN = Plan(requests=2000, seconds=1.0, seed=1)


def test_the_same_seed_gives_the_same_trace_and_another_one_another():
    assert PLAN.trace() == PLAN.trace()
    assert PLAN.trace() != Plan(2000, 1.0, seed=2).trace()


def test_requests_come_in_order_and_are_as_many_as_asked_for():
    times = [arrival.at_seconds for arrival in PLAN.trace()]
    assert len(times) == 2000
    assert times == sorted(times) and times[0] > 0
    assert len(set(times)) == 2000


def test_lengths_are_as_even_on_a_logarithmic_scale():
    prompts = sorted(arrival.prompt_tokens for arrival in PLAN.trace())
    assert prompts[0] >= 200 and prompts[-1] <= 8000
    # the geometric mean of the ends is the median
    assert prompts[1000] == pytest.approx((200 * 8000) ** 0.5, rel=0.1)
    assert all(32 <= arrival.new_tokens <= 256 for arrival in PLAN.trace())


def test_tenants_have_their_shares():
    names = [arrival.tenant.name for arrival in PLAN.trace()]
    for tenant in TENANTS:
        assert names.count(tenant.name) / 2000 == pytest.approx(tenant.share, abs=0.05)


def test_the_mean_rate_is_kept_and_the_busiest_seconds_are_far_above_it():
    spec = TraceSpec(20_000, 3, TENANTS, PER_SECOND)
    times = [arrival.at_seconds for arrival in build_trace(spec)]
    assert 20_000 / times[-1] == pytest.approx(PER_SECOND, rel=0.15)
    counts = [0] * (int(times[-1]) + 1)
    for at in times:
        counts[int(at)] += 1
    busiest = sorted(counts)[-len(counts) // 10 :]
    assert sum(busiest) / len(busiest) > 1.8 * PER_SECOND


def test_the_flooding_tenant_sends_ten_times_as_many():
    names = [arrival.tenant.name for arrival in flood_trace(125.0, 1)]
    calm, calm_too, flood = (names.count(name) for name in NAMES)
    assert flood / calm == pytest.approx(10, rel=0.2)
    assert flood / calm_too == pytest.approx(10, rel=0.2)
