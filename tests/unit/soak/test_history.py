import re
from dataclasses import replace

import pytest

from services.soak.history import History, Seen

# `default` moves from 1 to 2 at 100 s, which takes a second
MOVED, TOLD = 100.0, 101.0


@pytest.fixture
def history() -> History:
    history = History()
    for version in (1, 2, 3):
        history.publishing(version, 0.0)
    history.may_point("default", 1, 1.0)
    history.points("default", 1, 2.0)
    history.may_point("default", 2, MOVED)
    history.points("default", 2, TOLD)
    return history


def seen(version: int, sent: float, seconds: float = 1.0) -> Seen:
    return Seen("default", "fused", sent, sent + seconds, "fused", "soak", version, "default")


@pytest.mark.parametrize(
    ("version", "sent"),
    [
        pytest.param(1, 50.0, id="what it pointed at"),
        pytest.param(2, 99.5, id="a move that came before the answer"),
        pytest.param(1, 105.9, id="the one before, within five seconds"),
        pytest.param(2, 1000.0, id="what it pointed at last"),
    ],
)
def test_answers_that_are_allowed(history, version, sent):
    assert history.objection(seen(version, sent)) == ""


@pytest.mark.parametrize(
    ("version", "sent", "said"),
    [
        pytest.param(1, 106.1, r"pointed at \[2\] from 101\.1 s on", id="the one before, after five seconds"),
        pytest.param(2, 98.0, r"pointed at \[1\]", id="a move that came after the answer"),
        pytest.param(3, 50.0, r"pointed at \[1\]", id="a version that the alias never pointed at"),
        pytest.param(9, 50.0, "was not published", id="a version that never was"),
    ],
)
def test_versions_that_are_not_allowed_are_named_with_what_was(history, version, sent, said):
    assert re.search(said, history.objection(seen(version, sent)))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"adapter": "other"}, id="another adapter"),
        pytest.param({"adapter": ""}, id="a version of no adapter"),
        pytest.param({"version": 0}, id="an adapter without a version"),
        pytest.param({"scored_policy": "lookahead"}, id="another policy"),
        pytest.param({"scored_policy": "window"}, id="window with an adapter"),
        pytest.param({"scored_policy": "full", "adapter": "", "version": 0}, id="a prompt that was kept whole"),
        pytest.param({"named_alias": "canary"}, id="another alias"),
        pytest.param({"named_alias": ""}, id="no alias"),
        pytest.param({"alias": "canary", "named_alias": "canary"}, id="a version of another alias"),
    ],
)
def test_reports_that_do_not_fit_the_request_are_flagged(history, changes):
    right = seen(1, 50.0)
    assert history.objection(right) == ""
    assert history.objection(replace(right, **changes)) != ""


def test_window_without_an_adapter_is_allowed(history):
    assert history.objection(replace(seen(0, 50.0), scored_policy="window", adapter="", named_alias="")) == ""


def test_version_that_is_published_only_after_the_answer_is_flagged(history):
    history.publishing(4, 300.0)
    history.may_point("default", 4, 301.0)
    assert "was not published" in history.objection(seen(4, 290.0))
    assert history.objection(seen(4, 302.0)) == ""


def test_while_redis_is_away_the_last_good_version_stays_allowed_and_five_seconds_more(history):
    history.fault_began(102.0)
    assert history.objection(seen(1, 130.0)) == ""
    history.fault_ended(140.0)
    assert history.objection(seen(1, 144.9)) == ""
    assert history.objection(seen(1, 145.1)) != ""


def test_fault_allows_no_version_from_long_before_it(history):
    history.fault_began(110.0)
    history.fault_ended(120.0)
    assert history.objection(seen(1, 121.0)) != ""
    assert history.objection(seen(2, 121.0)) == ""


def test_fault_that_follows_another_at_once_goes_back_to_before_the_first(history):
    history.fault_began(102.0)
    history.fault_ended(110.0)
    history.fault_began(113.0)
    history.fault_ended(120.0)
    assert history.objection(seen(1, 124.0)) == ""


def test_faults_far_apart_do_not_reach_back(history):
    history.fault_began(102.0)
    history.fault_ended(110.0)
    history.fault_began(120.1)
    history.fault_ended(130.0)
    assert history.objection(seen(1, 131.0)) != ""


def test_move_without_an_answer_allows_both_versions_until_the_aliases_are_read(history):
    history.may_point("default", 3, 200.0)
    assert history.allowed("default", 220.0, 221.0) == {2, 3}
    history.points("default", 3, 230.0)
    assert history.allowed("default", 236.0, 237.0) == {3}


def test_move_that_a_crash_took_back_counts_from_the_crash_on(history):
    history.fault_began(200.0)
    history.fault_ended(201.0)
    history.points("default", 1, 202.0)
    assert history.objection(seen(1, 198.0, seconds=1.5)) != ""
    assert history.objection(seen(1, 200.5)) == ""
    assert history.objection(seen(1, 300.0)) == ""
    assert history.objection(seen(2, 300.0)) != ""
