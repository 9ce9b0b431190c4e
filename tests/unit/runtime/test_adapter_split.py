"""Requests for `default` are shared as told, by keys that stay where they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.adapter_split import pick, shares_of

KEYS = [f"user-{number}" for number in range(2000)]


def test_shares_are_those_of_the_same_adapter_and_default_has_the_rest():
    shares = {"default": 0, "canary": 0.05, "beta": 0.2, "off": 0, "code/default": 0, "code/canary": 0.5}
    assert shares_of("default", shares) == {"canary": 0.05, "beta": 0.2, "default": pytest.approx(0.75)}
    assert shares_of("code/default", shares) == {"code/canary": 0.5, "code/default": 0.5}


@pytest.mark.parametrize("name", ["canary", "code/canary", "unknown"])
def test_other_aliases_are_not_shared(name):
    assert shares_of(name, {"default": 0, "canary": 0.5, "code/canary": 0.5}) == {name: 1.0}


@pytest.mark.parametrize("shares", [{"default": 0.95, "canary": 0.05}, {"default": 0.5, "a": 0.2, "b": 0.3}])
def test_each_alias_gets_its_share_of_many_keys(shares):
    picked = [pick(shares, key) for key in KEYS]
    # five standard deviations of a binomial of 2,000
    assert {name: picked.count(name) / len(KEYS) for name in shares} == pytest.approx(shares, abs=0.06)


@given(share=st.floats(0.01, 0.98), more=st.floats(0.001, 0.5), key=st.text())
def test_share_that_grows_gives_no_key_away(share, more, key):
    grown = min(0.99, share + more)
    if pick({"default": 1 - share, "canary": share}, key) == "canary":
        assert pick({"default": 1 - grown, "canary": grown}, key) == "canary"


def test_key_stays_in_other_processes_and_releases():
    shares = {"default": 0.5, "canary": 0.5}
    assert [pick(shares, key) for key in ("alice", "bob", "carol", "dave")] == ["canary", "canary", "default", "canary"]


def test_empty_share_gets_nothing():
    assert {pick({"default": 0.0, "canary": 1.0}, key) for key in KEYS} == {"canary"}
