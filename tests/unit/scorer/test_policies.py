"""What every policy must do, over the registry, and what each one means."""

import pytest
import torch

from scorer.policies import POLICIES, load_policy
from scorer.policies.base import Observation
from scorer.policies.window import WindowPolicy

LAYERS, KV_HEADS, TOKENS = 2, 3, 90


@pytest.fixture
def seen():
    torch.manual_seed(0)
    mass = torch.rand(LAYERS, KV_HEADS, TOKENS).softmax(-1)
    return Observation(LAYERS, KV_HEADS, TOKENS, torch.device("cpu"), window_mass=mass)


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


def test_window_without_a_scoring_pass_says_what_is_missing():
    with pytest.raises(ValueError, match="window_mass"):
        WindowPolicy().score(Observation(LAYERS, KV_HEADS, TOKENS, torch.device("cpu")))
