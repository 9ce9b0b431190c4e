"""What every policy must do, over the registry, and what each one means."""

from dataclasses import replace

import pytest
import torch

from scorer.adapters.config import FUSION_COMPONENTS, FusionConfig
from scorer.policies import ADAPTER_POLICIES, BLIND_POLICIES, FALLBACK, POLICIES, load_policy
from scorer.policies.base import Observation, Rows
from scorer.policies.fused import FusedPolicy
from scorer.policies.lookahead import LookaheadPolicy
from scorer.policies.window import WindowPolicy

LAYERS, KV_HEADS, TOKENS = 2, 3, 90
KINDS = ("window", "lookahead", "first_token")


@pytest.fixture
def seen():
    torch.manual_seed(0)
    masses = {f"{kind}_mass": torch.rand(LAYERS, KV_HEADS, TOKENS).softmax(-1) for kind in KINDS}
    weights = torch.rand(LAYERS, KV_HEADS, len(FUSION_COMPONENTS)).softmax(-1)
    return Observation(LAYERS, KV_HEADS, TOKENS, torch.device("cpu"), **masses, fusion_weights=weights)


@pytest.mark.parametrize("name", POLICIES)
def test_scores_every_token_of_every_head_in_every_layer(name, seen):
    scores = load_policy(name)().score(seen)
    assert scores.shape == (LAYERS, KV_HEADS, TOKENS)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


@pytest.mark.parametrize("name", POLICIES)
def test_same_observation_gives_same_scores(name, seen):
    policy = load_policy(name)()
    assert torch.equal(policy.score(seen), policy.score(seen))


@pytest.mark.parametrize("name", POLICIES)
def test_unknown_parameter_is_refused(name):
    params = {"no_such_parameter": 1}
    with pytest.raises(TypeError, match="no_such_parameter"):
        load_policy(name)(**params)


def test_policies_that_need_an_adapter_are_those_with_lookahead_rows_and_their_fallback_has_none():
    assert tuple(name for name in POLICIES if load_policy(name)().rows.lookahead) == ADAPTER_POLICIES
    assert FALLBACK not in ADAPTER_POLICIES


def test_streaming_prefers_later_tokens(seen):
    scores = load_policy("streaming")().score(seen)
    assert (scores.diff(dim=-1) > 0).all()


def test_window_smooths_the_votes_before_the_window_only(seen):
    scores = WindowPolicy(window_tokens=30, pool_width=3).score(seen)
    mass = seen.window_mass
    torch.testing.assert_close(scores[..., 10], mass[..., 9:12].mean(-1))
    # cut at the window: a mean over two real tokens
    torch.testing.assert_close(scores[..., 59], mass[..., 58:60].mean(-1))
    assert torch.equal(scores[..., 60:], mass[..., 60:])


@pytest.mark.parametrize("params", [{"window_tokens": 0}, {"pool_width": 4}, {"pool_width": -1}])
def test_window_refuses_impossible_parameters_by_name(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        WindowPolicy(**params)


@pytest.mark.parametrize(
    ("policy", "missing"),
    [(WindowPolicy(), "window_mass"), (LookaheadPolicy(), "lookahead_mass"), (FusedPolicy(), "fusion_weights")],
)
def test_without_a_scoring_pass_it_says_what_is_missing(policy, missing):
    with pytest.raises(ValueError, match=missing):
        policy.score(Observation(LAYERS, KV_HEADS, TOKENS, torch.device("cpu")))


def test_lookahead_keeps_what_its_rows_look_at_and_smooths_on_demand(seen):
    assert torch.equal(LookaheadPolicy().score(seen), seen.lookahead_mass)
    pooled = LookaheadPolicy(pool_width=3).score(seen)
    torch.testing.assert_close(pooled[..., 10], seen.lookahead_mass[..., 9:12].mean(-1))


def test_rows_are_true_when_a_pass_is_needed():
    assert not Rows()
    assert Rows(window=1) and Rows(lookahead=True) and Rows(first_token=True)


def test_fused_is_a_mixture_of_distributions_over_evictable_tokens(seen):
    policy = FusedPolicy(sink_tokens=3, recent_tokens=20)
    scores = policy.score(seen)
    torch.testing.assert_close(scores[..., 3:-20].sum(-1), torch.ones(LAYERS, KV_HEADS))
    # by hand, one head and token
    distributions = [component[1, 2, 40] for component in policy.components(seen)]
    expected = sum(w * d for w, d in zip(seen.fusion_weights[1, 2], distributions, strict=True))
    torch.testing.assert_close(scores[1, 2, 40], expected)
    window = seen.window_mass[1, 2]
    torch.testing.assert_close(distributions[2], window[40] / window[3:-20].sum())
    torch.testing.assert_close(distributions[3], window[38:43].mean() / _pooled(window, 5)[3:-20].sum())


def test_fused_with_all_weight_on_one_component_orders_as_that_component(seen):
    weights = torch.zeros_like(seen.fusion_weights)
    weights[..., FUSION_COMPONENTS.index("first_token")] = 1
    scores = FusedPolicy().score(replace(seen, fusion_weights=weights))
    assert torch.equal(scores.argsort(dim=-1), seen.first_token_mass.argsort(dim=-1))


def test_fused_of_a_prompt_without_evictable_tokens_is_finite(seen):
    assert FusedPolicy(sink_tokens=40, recent_tokens=60).score(seen).isfinite().all()


@pytest.mark.parametrize(
    "params", [{"sink_tokens": -1}, {"recent_tokens": -1}, {"window_tokens": 0}, {"pool_width": 2}]
)
def test_fused_refuses_impossible_parameters_by_name(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        FusedPolicy(**params)


def test_fused_has_the_parameters_that_an_adapter_sets():
    assert FusedPolicy(**FusionConfig().model_dump()) == FusedPolicy()


def _pooled(mass, width):
    half = width // 2
    return torch.stack([mass[max(0, i - half) : i + half + 1].mean() for i in range(len(mass))])


def test_blind_policies_are_those_that_ask_for_no_rows():
    assert set(BLIND_POLICIES) == {name for name in POLICIES if not load_policy(name)().rows}
