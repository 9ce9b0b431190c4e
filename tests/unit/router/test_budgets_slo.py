"""The rules that look at the replica: what an SLO has time for, and what a full pool has room for."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.budgets import kv_budget, load_rules
from router.budgets.base import BudgetRequest, NoBudget, ReplicaView, Slo
from router.budgets.limits import Limits, OnConflict
from router.budgets.load import LoadRule
from router.budgets.slo import NO_LIMIT, SloRule

# steps of 10 ms, and 1 µs for each resident token
REPLICA = ReplicaView(100_000, 90_000, ttft_seconds=0.5, tpot_base_seconds=0.01, tpot_token_seconds=1e-6)
EXACT = SloRule(headroom_ratio=0.0, room_ratio=1.0)

lengths = st.integers(min_value=1, max_value=1_000_000)
seconds = st.floats(min_value=0, max_value=3600)
slos = st.builds(Slo, st.none() | seconds, st.none() | seconds)
slots = st.integers(min_value=0, max_value=1_000_000)
replicas = st.builds(
    lambda total, free, *times: ReplicaView(total, min(total, free), *times), slots, slots, seconds, seconds, seconds
)
asked = st.builds(
    lambda prompt, new, slo, replica: request(slo, replica, prompt, new), lengths, lengths, slos, replicas
)
rules = st.sampled_from([SloRule(), EXACT, LoadRule()])


def request(slo=Slo(), replica=REPLICA, prompt=8000, new=100, **limits) -> BudgetRequest:  # noqa: B008
    return BudgetRequest(prompt, new, Limits(**limits), slo=slo, replica=replica)


def near(tokens: int | None) -> Any:
    """Times are floats, so that a quotient may be just below a whole token."""
    return pytest.approx(tokens, abs=1) if tokens else tokens


@given(request=asked, longer=lengths, rule=rules)
def test_a_cap_never_shrinks_when_the_prompt_grows(request, longer, rule):
    before = rule.cap(request)
    after = rule.cap(replace(request, prompt_tokens=request.prompt_tokens + longer))
    assert (before is None) == (after is None)
    assert before is None or after is None or 0 <= before <= after


@given(request=asked, fuller=slots, rule=rules)
def test_a_cap_never_grows_when_the_replica_gets_fuller(request, fuller, rule):
    full = replace(request.replica, free_slots=max(0, request.replica.free_slots - fuller))
    before, after = rule.cap(request), rule.cap(replace(request, replica=full))
    assert before is None or (after is not None and after <= before)


@given(request=asked, stricter=st.floats(min_value=0, max_value=1))
def test_a_stricter_slo_never_raises_the_cap(request, stricter):
    tpot = request.slo.tpot_seconds
    strict = replace(request.slo, tpot_seconds=None if tpot is None else tpot * stricter)
    before, after = EXACT.cap(request), EXACT.cap(replace(request, slo=strict))
    assert before is None or (after is not None and after <= before)


@given(request=asked)
def test_the_largest_budget_meets_the_slo_and_one_token_more_does_not(request):
    cap, replica, tpot = EXACT.cap(request), request.replica, request.slo.tpot_seconds
    if cap is None or tpot is None or cap == 0 or cap > 1 << 30:
        return

    def step(budget: int) -> float:
        resident = replica.resident_tokens + budget + request.new_tokens
        return replica.tpot_base_seconds + replica.tpot_token_seconds * resident

    assert step(cap - 1) <= tpot <= step(cap + 2)


@pytest.mark.parametrize(
    ("slo", "cap"),
    [
        (Slo(), None),
        (Slo(ttft_seconds=0.5), None),
        (Slo(ttft_seconds=0.4), 0),
        (Slo(tpot_seconds=0.03), 9900),
        (Slo(0.5, 0.03), 9900),
        (Slo(0.4, 0.03), 0),
        (Slo(tpot_seconds=0.02), 0),
        (Slo(tpot_seconds=0.005), 0),
    ],
)
def test_examples_of_the_slo_rule(slo, cap):
    assert EXACT.cap(request(slo)) == near(cap)


def test_what_is_left_of_the_time_and_of_the_room_is_not_used():
    assert SloRule(0.1, 1.0).cap(request(Slo(tpot_seconds=0.04))) == near(16_000 - 100)
    assert SloRule(0.0, 0.5).cap(request(Slo(tpot_seconds=0.04))) == near(10_000 - 100)


def test_the_requests_slo_goes_before_the_tenants_field_by_field():
    assert EXACT.cap(request(tpot_seconds=0.03)) == near(9900)
    assert EXACT.cap(request(Slo(tpot_seconds=0.04), tpot_seconds=0.03)) == near(19_900)
    assert EXACT.cap(request(Slo(ttft_seconds=9.0), tpot_seconds=0.03, ttft_seconds=0.1)) == near(9900)


def test_a_replica_that_does_not_depend_on_the_batch_has_no_limit():
    flat = replace(REPLICA, tpot_token_seconds=0.0)
    cap = EXACT.cap(request(Slo(tpot_seconds=0.03), flat))
    assert cap is not None and cap > NO_LIMIT // 2
    assert EXACT.cap(request(Slo(tpot_seconds=0.005), flat)) == 0


@pytest.mark.parametrize("rule", [SloRule(), LoadRule()])
def test_without_a_replica_they_have_no_say(rule):
    assert rule.cap(request(Slo(1.0, 0.01), replica=None)) is None


def test_a_conflict_with_the_floor_is_decided_by_the_tenant():
    late, all_rules = Slo(ttft_seconds=0.1), load_rules({})
    degraded = kv_budget(request(late), all_rules)
    assert (degraded.tokens, degraded.rule) == (64, "floor")
    whole = kv_budget(request(late, on_conflict=OnConflict.FULL_KV), all_rules)
    assert (whole.tokens, whole.rule) == (2048, "prompt_length")
    with pytest.raises(NoBudget, match="the SLO allows 0 tokens"):
        kv_budget(request(late, on_conflict=OnConflict.REJECT), all_rules)


@pytest.mark.parametrize(
    ("free_slots", "cap"),
    [(90_000, None), (20_000, None), (12_500, 4400), (5000, 800), (850, 750), (100, 0), (0, 0)],
)
def test_the_share_falls_as_the_pool_fills_and_fits_into_what_is_free(free_slots, cap):
    assert LoadRule().cap(request(replica=replace(REPLICA, free_slots=free_slots))) == near(cap)


def test_a_replica_whose_pool_is_not_known_is_not_full():
    assert LoadRule().cap(request(replica=ReplicaView(0, 0, 0.1, 0.01, 1e-6))) is None


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SloRule(headroom_ratio=1.0), "headroom_ratio is 1.0; set it to 0 or more and below 1"),
        (lambda: SloRule(room_ratio=0.0), "room_ratio is 0.0; set it above 0 and to 1 at most"),
        (lambda: LoadRule(start_ratio=0.9, end_ratio=0.8), "start_ratio is 0.9 and end_ratio is 0.8; set them"),
        (lambda: LoadRule(least_ratio=2.0), "least_ratio is 2.0; set it above 0 and to 1 at most"),
    ],
)
def test_a_wrong_parameter_is_named_with_value_and_remedy(build, message):
    with pytest.raises(ValueError, match=message):
        build()
