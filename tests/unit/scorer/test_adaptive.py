"""The grid of an adaptive budget covers what is allowed in few, even steps, and the first that is enough is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.adaptive import GRID_POINTS, GRID_STEP, budget_grid, first_that_holds


@st.composite
def ranges(draw):
    least = draw(st.integers(1, 500))
    return least, draw(st.integers(least, 200_000)), draw(st.sampled_from([1, 16, 64]))


@given(ranges())
def test_grid_ascends_in_whole_pages_from_the_least_to_the_most(case):
    least, most, page = case
    grid = budget_grid(least, most, page)
    assert list(grid) == sorted(set(grid))
    assert all(budget % page == 0 for budget in grid)
    assert least <= grid[0] < least + page
    assert most <= grid[-1] < most + page
    assert len(grid) <= GRID_POINTS


@given(ranges())
def test_no_step_of_the_grid_is_wider_than_it_has_to_be(case):
    least, most, page = case
    step = max(GRID_STEP, (most / least) ** (1 / (GRID_POINTS - 1)))
    grid = budget_grid(least, most, page)
    # each point is cut to a token and rounded up to a page
    assert all(after <= step * (before + 1) + page for before, after in zip(grid, grid[1:], strict=False))


@given(st.integers(1, 100), st.integers(1, 60), st.integers(0, 5))
def test_larger_cap_moves_no_budget_below_it(least, factor, more):
    small, large = budget_grid(least, factor * least), budget_grid(least, (factor + more) * least)
    assert small[:-1] == large[: len(small) - 1]


def test_single_budget_is_a_grid_of_one():
    assert budget_grid(64, 64) == (64,)


@pytest.mark.parametrize(("least", "most"), [(0, 10), (11, 10)])
def test_empty_range_is_refused_with_its_numbers(least, most):
    with pytest.raises(ValueError, match=f"least_tokens: {least} must be at least 1 and at most most_tokens = {most}"):
        budget_grid(least, most)


@pytest.mark.parametrize(("asked", "index"), [(0.1, 0), (0.5, 0), (0.51, 1), (1.0, 2)])
def test_first_mass_that_reaches_what_is_asked_is_found(asked, index):
    assert first_that_holds([0.5, 0.9, 1.0], asked) == index


def test_mass_that_no_budget_holds_is_not_found():
    assert first_that_holds([0.5, 0.9, 0.99], 1.0) is None
