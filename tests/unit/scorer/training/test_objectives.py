"""Losses against numbers worked out by hand and against torch's own divergence."""

import math

import pytest
import torch
import torch.nn.functional as F

from scorer.training.ground_truth import GroundTruth
from scorer.training.objectives import OBJECTIVES, EvictableMaxObjective, FusedMaxObjective, PaperObjective, Seen

LN2 = math.log(2)


def truth(mean, maximum=None):
    return GroundTruth(torch.tensor(mean), torch.tensor(mean if maximum is None else maximum))


def drawn(layers=3, heads=4, tokens=20):
    generator = torch.Generator().manual_seed(0)
    predicted, mean, maximum = torch.rand(3, layers, heads, tokens, generator=generator)
    return predicted / tokens, GroundTruth(mean / tokens, maximum)


def seen(predicted, sinks=0, recent=0):
    """As if each query head had its own KV head, and the mixture were of the lookahead rows and of all tokens alike."""
    shares = predicted[..., sinks : max(sinks, predicted.shape[-1] - recent)]
    shares = shares / shares.sum(-1, keepdim=True).clamp_min(1e-20)
    components = torch.stack([shares, torch.full_like(shares, 1 / max(1, shares.shape[-1]))], dim=-1)
    return Seen(predicted, components, torch.tensor([0.75, 0.25]).expand(*predicted.shape[:2], 2))


def test_paper_objective_is_the_mean_divergence_by_hand():
    # shares of head 0: 1/2, 1/2 wanted, 1/4, 3/4 predicted; head 1 agrees
    predicted = torch.tensor([[[0.1, 0.3], [0.2, 0.2]]])
    loss = PaperObjective(0, 0).loss(seen(predicted), truth([[[0.4, 0.4], [0.3, 0.3]]], [[[1.0, 0.0], [1.0, 0.0]]]))
    assert loss.item() == pytest.approx((0.5 * LN2 + 0.5 * math.log(2 / 3)) / 2)


def test_paper_objective_is_kl_div_of_torch():
    predicted, wanted = drawn()
    share, goal = (mass / mass.sum(-1, keepdim=True) for mass in (predicted, wanted.mean))
    expected = F.kl_div(share.log(), goal, reduction="sum") / (3 * 4)
    # sinks and recent tokens count too
    torch.testing.assert_close(PaperObjective(4, 8).loss(seen(predicted), wanted), expected)


def test_ours_takes_the_maximum_over_evictable_tokens_and_weighs_heads_by_it():
    # one sink, one recent token; head 0 has 0.8 of evictable mass, head 1 0.2
    predicted = torch.tensor([[[9.0, 0.1, 0.3, 5.0], [0.0, 0.3, 0.1, 7.0]]])
    maximum = [[[0.9, 0.4, 0.4, 0.1], [0.1, 0.2, 0.0, 0.9]]]
    loss = EvictableMaxObjective(1, 1).loss(seen(predicted), truth([[[1.0, 0.0, 0.0, 0.0]] * 2], maximum))
    by_head = 0.5 * LN2 + 0.5 * math.log(2 / 3), math.log(4 / 3)
    assert loss.item() == pytest.approx(0.8 * by_head[0] + 0.2 * by_head[1])


def test_fused_objective_is_half_the_rows_alone_and_half_the_mixture():
    # one sink; the rows say 1/4, 3/4, the other component 1/2, 1/2, weighed 3 : 1 that is 5/16, 11/16; wanted 1/2, 1/2
    predicted = torch.tensor([[[9.0, 0.1, 0.3]]])
    loss = FusedMaxObjective(1, 0).loss(seen(predicted, 1), truth([[[1.0, 0.0, 0.0]]], [[[0.9, 0.4, 0.4]]]))
    alone = 0.5 * LN2 + 0.5 * math.log(2 / 3)
    mixture = 0.5 * math.log(0.5 / (5 / 16)) + 0.5 * math.log(0.5 / (11 / 16))
    assert loss.item() == pytest.approx((alone + mixture) / 2, rel=1e-5)


def test_fused_objective_judges_a_kv_head_by_the_mean_of_its_query_heads():
    _, wanted = drawn(heads=4)
    grouped = wanted.max.unflatten(1, (2, 2)).mean(2)
    exact = Seen(wanted.max, seen(grouped, 2, 3).components[..., :1], torch.ones(3, 2, 1))
    assert FusedMaxObjective(2, 3).loss(exact, wanted).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_is_zero_where_the_shares_agree(name):
    _, wanted = drawn()
    same = GroundTruth(wanted.max, wanted.max)
    alone = Seen(wanted.max * 0.25, seen(wanted.max, 2, 3).components[..., :1], torch.ones(3, 4, 1))
    assert OBJECTIVES[name](2, 3).loss(alone, same).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_is_finite_where_mass_vanished(name):
    predicted, wanted = drawn()
    predicted[0, 0, 5:] = 0
    predicted[0, 1] = 0
    wanted.mean[1, 1, :6] = 0
    wanted.max[1, 1] = 0
    predicted.requires_grad_()
    loss = OBJECTIVES[name](2, 3).loss(seen(predicted, 2, 3), wanted)
    loss.backward()
    assert loss.isfinite() and predicted.grad.isfinite().all()
    assert predicted.grad.abs().max() > 0


@pytest.mark.parametrize(("sinks", "recent"), [(12, 8), (4, 32), (32, 4)])
def test_prompt_without_evictable_tokens_teaches_nothing(sinks, recent):
    predicted, wanted = drawn()
    predicted.requires_grad_()
    loss = EvictableMaxObjective(sinks, recent).loss(seen(predicted), wanted)
    loss.backward()
    assert loss.item() == 0
    assert predicted.grad.abs().max() == 0


def test_no_recent_tokens_means_all_up_to_the_end_are_evictable():
    predicted, wanted = drawn()
    moved = predicted.clone()
    moved[..., -1] *= 3
    ours = EvictableMaxObjective(2, 0)
    assert ours.loss(seen(moved), wanted) != ours.loss(seen(predicted), wanted)
