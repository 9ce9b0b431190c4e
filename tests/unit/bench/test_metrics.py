"""What the benchmark's figures mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bench.router.fairness import judge
from services.bench.router.metrics import Served, attainment, fairness, jain, kept_ratio, max_min_shares, percentile
from services.bench.router.trace import Arrival, Tenant

TENANT = Tenant("chat", 1.0, ttft_seconds=1.0, tpot_seconds=0.05)
ARRIVAL = Arrival(0.0, TENANT, 1000, 10)

amounts = st.floats(min_value=0, max_value=1e9)
demands = st.dictionaries(st.text(min_size=1, max_size=3), amounts, min_size=1, max_size=6)


def served(ttft: float | None, tpot: float | None = 0.01, kept: int = 500) -> Served:
    return Served(ARRIVAL, kept, "slo", ttft, tpot)


@pytest.mark.parametrize(
    ("one", "in_time"),
    [
        (served(1.0, 0.05), True),
        (served(1.1, 0.05), False),
        (served(1.0, 0.06), False),
        (served(1.0, None), True),
        (served(None, None), False),
    ],
)
def test_a_request_is_in_time_when_both_of_its_times_are(one, in_time):
    assert one.attained is in_time


def test_refused_requests_count_against_the_attainment_but_not_in_what_was_kept():
    assert attainment([served(0.5), served(None), served(2.0), served(0.1)]) == 0.5
    assert kept_ratio([served(0.5, kept=500), served(None, kept=0), served(2.0, kept=1000)]) == 0.75
    assert (attainment([]), kept_ratio([])) == (0.0, 0.0)


def test_a_percentile_is_one_of_the_values():
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 51.0, 100.0, 100.0]
    assert percentile([], 0.5) == 0.0


def test_jain_is_one_for_equals_and_a_share_of_one_when_one_has_all():
    assert jain([3.0, 3.0, 3.0]) == pytest.approx(1)
    assert jain([9.0, 0.0, 0.0]) == pytest.approx(1 / 3)
    assert jain([]) == jain([0.0, 0.0]) == 1.0


def test_who_asks_for_little_gets_it_and_the_rest_is_shared_evenly():
    assert max_min_shares({"a": 1.0, "b": 5.0, "c": 100.0}, 9.0) == {"a": 1.0, "b": 4.0, "c": 4.0}
    assert max_min_shares({"a": 1.0, "b": 5.0}, 100.0) == {"a": 1.0, "b": 5.0}


@given(demands=demands, capacity=amounts)
def test_shares_are_within_demands_and_capacity(demands, capacity):
    shares = max_min_shares(demands, capacity)
    assert all(0 <= shares[name] <= demand for name, demand in demands.items())
    assert sum(shares.values()) == pytest.approx(min(capacity, sum(demands.values())))


def test_a_flood_that_takes_only_what_is_left_is_fair_and_one_that_takes_by_its_size_is_not():
    asked = {"calm-1": 10.0, "calm-2": 10.0, "flood": 100.0}
    assert fairness({"calm-1": 10.0, "calm-2": 10.0, "flood": 40.0}, asked) == pytest.approx(1)
    assert fairness({"calm-1": 5.0, "calm-2": 5.0, "flood": 50.0}, asked) < 0.9
    assert fairness({"flood": 60.0}, asked) == pytest.approx(1 / 3)


def test_a_tenant_that_got_nothing_counts():
    flood = Arrival(0.0, Tenant("flood", 1.0, 1.0, 1.0), 1000, 10)
    found = judge([ARRIVAL, flood], [Served(flood, 1000, "", 0.1, 0.1)])
    assert found.served_tokens == {"chat": 0.0, "flood": 1010.0}
    assert found.jain == pytest.approx(0.5)
