"""Fusion weights: expectation maximisation finds the mixture that data were drawn from."""

import pytest
import torch

from scorer.adapters.config import FUSION_COMPONENTS, FusionConfig
from scorer.policies.base import Observation
from scorer.policies.fused import FusedPolicy
from scorer.training.fusion import FusionFit, components
from scorer.training.prepared import Votes
from scorer.training.rows_forward import by_kv_head

CONFIG = FusionConfig(window_tokens=8, sink_tokens=2, recent_tokens=6, pool_width=3)
LAYERS, HEADS, KV_HEADS, TOKENS = 2, 4, 2, 40


@pytest.fixture
def masses():
    generator = torch.Generator().manual_seed(3)
    # as attention is, far from uniform
    lookahead = torch.rand(LAYERS, HEADS, TOKENS, generator=generator) ** 12
    window, first = torch.rand(2, LAYERS, KV_HEADS, TOKENS, generator=generator) ** 12
    return lookahead, Votes(window, first)


def test_components_are_what_the_policy_mixes(masses):
    lookahead, votes = masses
    weights = torch.rand(LAYERS, KV_HEADS, len(FUSION_COMPONENTS))
    seen = Observation(
        LAYERS,
        KV_HEADS,
        TOKENS,
        torch.device("cpu"),
        window_mass=votes.window,
        lookahead_mass=by_kv_head(lookahead, KV_HEADS),
        first_token_mass=votes.first_token,
        fusion_weights=weights,
    )
    expected = FusedPolicy(**CONFIG.model_dump()).score(seen)[..., 2:-6]
    ours = (components(lookahead, votes, CONFIG) * weights[..., None, :]).sum(-1)
    torch.testing.assert_close(ours, expected)


def test_gradient_reaches_the_lookahead_rows_only(masses):
    lookahead, votes = masses
    lookahead.requires_grad_()
    components(lookahead, votes, CONFIG).square().sum().backward()
    assert lookahead.grad.abs().max() > 0
    assert votes.window.grad is None


def test_fit_finds_the_mixture_of_the_target_for_each_head(masses):
    lookahead, votes = masses
    mixed = components(lookahead, votes, CONFIG)
    true = torch.tensor([0.5, 0.0, 0.3, 0.0, 0.2, 0.0]).expand(LAYERS, KV_HEADS, -1).clone()
    true[1, 0] = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    target = (mixed * true[..., None, :]).sum(-1) * 0.37
    weights = torch.full_like(true, 1 / 6)
    fit = FusionFit.start(weights)
    for _ in range(1500):
        fit = fit.with_sample(mixed, target, weights)
        weights = fit.weights(weights)
    # components resemble their smoothed forms, so the mixture is known sooner than its weights
    found = (mixed * weights[..., None, :]).sum(-1)
    uniform = mixed.mean(-1)
    wanted = target / 0.37
    assert (found - wanted).abs().max() < 0.03 * (uniform - wanted).abs().max()
    assert weights[1, 0, 4] > 0.9
    torch.testing.assert_close(weights.sum(-1), torch.ones(LAYERS, KV_HEADS))


def test_without_evidence_weights_stay(masses):
    before = torch.rand(LAYERS, KV_HEADS, 6).softmax(-1)
    fit = FusionFit.start(before)
    assert torch.equal(fit.weights(before), before)
    nothing = fit.with_sample(torch.zeros(LAYERS, KV_HEADS, 0, 6), torch.zeros(LAYERS, KV_HEADS, 0), before)
    assert torch.equal(nothing.weights(before), before)
