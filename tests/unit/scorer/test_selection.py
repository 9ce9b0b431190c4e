"""Selection keeps the budget, the protected tokens, and otherwise the best."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scorer.selection import retained_mass, select


@st.composite
def cases(draw):
    tokens = draw(st.integers(2, 60))
    sinks = draw(st.integers(0, tokens // 2))
    recent = draw(st.integers(0, tokens - sinks))
    budget = draw(st.integers(max(1, sinks + recent), tokens))
    torch.manual_seed(draw(st.integers(0, 99)))
    return torch.rand(2, 3, tokens), budget, sinks, recent


@given(cases())
def test_budget_is_met_exactly_with_ascending_positions(case):
    kept = select(*case)
    assert kept.shape == (2, 3, case[1])
    assert (kept.diff(dim=-1) > 0).all()


@given(cases())
def test_sinks_and_recent_tokens_are_always_kept(case):
    scores, budget, sinks, recent = case
    tokens = scores.shape[-1]
    protected = {*range(sinks), *range(tokens - recent, tokens)}
    for head in select(*case).flatten(0, 1):
        assert protected <= set(head.tolist())


@given(cases())
def test_no_dropped_token_beats_a_kept_one_that_is_not_protected(case):
    scores, budget, sinks, recent = case
    kept = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, select(*case), True)
    open_to_choice = torch.zeros(scores.shape[-1], dtype=torch.bool)
    open_to_choice[sinks : scores.shape[-1] - recent] = True
    worst_kept = scores.masked_fill(~(kept & open_to_choice), torch.inf).amin(-1)
    best_dropped = scores.masked_fill(kept, -torch.inf).amax(-1)
    assert (worst_kept >= best_dropped).all()


@pytest.mark.parametrize(("budget", "sinks", "recent"), [(4, 4, 1), (11, 0, 0)])
def test_impossible_budget_is_refused_with_its_numbers(budget, sinks, recent):
    with pytest.raises(ValueError, match=f"budget_tokens: {budget} must be"):
        select(torch.rand(1, 1, 10), budget, sinks, recent)


def test_retained_mass_is_the_share_on_kept_tokens():
    mass = torch.tensor([[[1.0, 2.0, 1.0], [0.0, 0.0, 4.0]]])
    kept = torch.tensor([[[1], [2]]])
    assert retained_mass(mass, kept) == pytest.approx(0.75)
