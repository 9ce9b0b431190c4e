"""What a router grants out of its share while Redis is gone."""

import time

import pytest

from router.admission.base import Claim
from router.admission.ledger import Ledger
from router.admission.refusals import Refusal
from router.budgets.limits import Limits

ROUTERS = 4


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def claim(limits: Limits, tokens: int = 10, kv: int = 10, least: int = 10) -> Claim:
    return Claim("a", limits, tokens, kv, least)


def granted_in_ten_minutes(clock: list[float], of: Claim) -> int:
    ledger, granted = Ledger(), 0
    for step in range(6000):
        clock[0] += 0.1
        if isinstance(ledger.reserve(of, str(step), ROUTERS), int):
            granted += 1
            ledger.leave("a", str(step), None)
    return granted


@pytest.mark.parametrize(
    ("limits", "tokens", "each_minute"),
    [(Limits(requests_per_minute=60), 1, 60), (Limits(tokens_per_minute=6000), 100, 60)],
)
def test_routers_without_redis_grant_no_more_than_the_limit_together(clock, limits, tokens, each_minute):
    together = ROUTERS * granted_in_ten_minutes(clock, claim(limits, tokens))
    # ten minutes of it, and what may be used at once
    assert 10 * each_minute <= together <= 11 * each_minute


def test_a_request_above_the_share_is_granted_when_nothing_else_is_used(clock):
    ledger, of = Ledger(), claim(Limits(tokens_per_minute=1000), tokens=600)
    assert ledger.reserve(of, "x", ROUTERS) == 10
    refusal = ledger.reserve(of, "y", ROUTERS)
    assert isinstance(refusal, Refusal) and refusal.reason == "TOKENS_PER_MINUTE"
    # what the first one used flows off at the share of the rate
    assert refusal.wait_seconds == pytest.approx(600 * 60 / 250)
    clock[0] += 600 * 60 / 250 + 0.001
    assert ledger.reserve(of, "y", ROUTERS) == 10


def test_a_request_whose_floor_is_above_the_share_is_granted_the_floor_alone(clock):
    ledger, of = Ledger(), claim(Limits(max_resident_kv_tokens=1000), kv=900, least=400)
    assert ledger.reserve(of, "x", ROUTERS) == 400
    assert ledger.reserve(of, "y", ROUTERS) == Refusal("RESIDENT_KV_TOKENS", 1000, 1.0)
    ledger.leave("a", "x", None)
    assert ledger.reserve(of, "y", ROUTERS) == 400


def test_nothing_is_given_back_of_what_was_not_charged(clock):
    ledger, limited = Ledger(), claim(Limits(tokens_per_minute=100), tokens=100)
    ledger.reserve(claim(Limits(requests_per_minute=9), tokens=80), "before", 1)
    ledger.reserve(limited, "x", 1)
    ledger.leave("a", "before", 0)
    assert isinstance(ledger.reserve(limited, "y", 1), Refusal)
