"""Selection keeps the budget, the protected tokens, and otherwise the best."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scorer import selection
from scorer.selection import retained_by_budget, retained_mass, select


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


@st.composite
def choices(draw):
    """Scores with ties and a mass of another order, every budget that is possible, and the protected tokens."""
    scores, budget, sinks, recent = draw(cases())
    levels = draw(st.sampled_from([2, 5, 1000]))
    mass = torch.rand(scores.shape).double().softmax(-1).float()
    return (scores * levels).round(), mass, range(budget, scores.shape[-1] + 1), sinks, recent


@given(choices())
def test_mass_by_budget_is_the_retained_mass_of_each_selection(choice):
    scores, mass, budgets, sinks, recent = choice
    one_by_one = [retained_mass(mass.double(), select(scores, each, sinks, recent)) for each in budgets]
    torch.testing.assert_close(retained_by_budget(*choice), torch.stack(one_by_one), rtol=1e-12, atol=0)


@given(choices())
def test_mass_by_budget_grows_with_the_budget_up_to_all_of_it(choice):
    found = retained_by_budget(*choice)
    assert (found.diff() >= 0).all()
    assert found[-1] == 1


def test_mass_by_budget_counts_sinks_and_recent_tokens_first():
    mass = torch.tensor([[[0.25, 0.0, 0.5, 0.0, 0.25]]])
    assert retained_by_budget(mass, mass, [2, 3], sink_tokens=1, recent_tokens=1).tolist() == [0.5, 1.0]


def test_mass_by_budget_of_equal_scores_is_that_of_earlier_tokens():
    mass = torch.tensor([[[0.5, 0.25, 0.125, 0.125]]])
    assert retained_by_budget(torch.zeros(1, 1, 4), mass, [1, 2, 3], 0, 0).tolist() == [0.5, 0.75, 0.875]


def test_mass_by_budget_does_not_see_what_lies_beside_a_slice():
    torch.manual_seed(0)
    padded = torch.rand(2, 3, 40)
    prompt = padded[..., :30]
    expected = retained_by_budget(prompt.contiguous(), prompt.contiguous(), [10, 20], 2, 4)
    assert torch.equal(retained_by_budget(prompt, prompt, [10, 20], 2, 4), expected)


def test_mass_by_budget_is_the_same_in_parts_of_layers(monkeypatch):
    torch.manual_seed(0)
    scores = torch.rand(5, 2, 40)
    whole = retained_by_budget(scores, scores, [10, 20], 2, 4)
    monkeypatch.setattr(selection, "SORTED_AT_ONCE", 2 * 2 * 40)
    torch.testing.assert_close(retained_by_budget(scores, scores, [10, 20], 2, 4), whole)


@pytest.mark.parametrize("budgets", [[4], [5, 11]])
def test_mass_of_an_impossible_budget_is_refused_with_its_numbers(budgets):
    with pytest.raises(ValueError, match=f"budget_tokens: {budgets[-1]} must be"):
        retained_by_budget(torch.rand(1, 1, 10), torch.rand(1, 1, 10), budgets, 4, 1)
