"""How often requests are tried again."""

from hypothesis import given
from hypothesis import strategies as st

from router.retries import MOST_SAVED, RetryBudget, RetrySettings


@given(ratio=st.floats(0, 1), asks=st.lists(st.booleans(), max_size=300))
def test_retries_are_a_share_of_the_requests_and_a_few_more(ratio, asks):
    budget = RetryBudget(RetrySettings(attempts=3, ratio=ratio))
    requests = retries = 0
    for again in asks:
        budget.earn()
        requests += 1
        retries += again and budget.spend(1)
        assert retries <= MOST_SAVED + ratio * requests


def test_one_request_is_tried_so_many_times():
    budget = RetryBudget(RetrySettings(attempts=3))
    assert [budget.spend(attempts) for attempts in (1, 2, 3)] == [True, True, False]
