"""Training on a tiny model: it learns, changes nothing but the adapter, and repeats itself."""

import pytest
import torch
from pydantic import ValidationError

from scorer.adapters.config import AdapterConfig, FusionConfig
from scorer.training.fusion import components
from scorer.training.loop import Diverged, TrainingState, learning_rate, new_adapter, sample_indices, train
from scorer.training.objectives import OBJECTIVES, Seen
from scorer.training.prepared import PreparedSamples, prepare
from scorer.training.settings import TrainingSettings, problems
from tests.unit.scorer.training.conftest import random_prompts, recipe

FUSION = FusionConfig(window_tokens=8, sink_tokens=2, recent_tokens=4)
CONFIG = AdapterConfig(lookahead_tokens=4, rank=2, alpha=4, fusion=FUSION)


def settings(**changes):
    base = {"steps": 30, "batch_samples": 2, "learning_rate": 1e-2, "sink_tokens": 2, "recent_tokens": 4}
    return TrainingSettings(**(base | changes))


@pytest.fixture(scope="module")
def samples(llama, tmp_path_factory):
    return prepare(llama.model, random_prompts((20, 26, 33, 40), 6), tmp_path_factory.mktemp("samples"), recipe())


def run(llama, samples, wanted):
    state = TrainingState.of(new_adapter(llama.model, CONFIG, wanted.seed))
    list(train(llama.model, samples, state, wanted))
    return state


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_loss_falls(llama, samples, objective):
    state = run(llama, samples, settings(objective=objective))
    losses = [each.loss for each in state.metrics]
    assert [each.step for each in state.metrics] == list(range(1, 31))
    # two steps see all four samples
    assert sum(losses[-2:]) < 0.7 * sum(losses[:2])


def test_only_the_adapter_changes_and_all_of_it(llama, samples):
    before = {name: tensor.clone() for name, tensor in llama.hf_model.state_dict().items()}
    start = new_adapter(llama.model, CONFIG, 0)
    kept = {name: tensor.clone() for name, tensor in start.tensors().items()}
    state = TrainingState.of(start)
    list(train(llama.model, samples, state, settings(steps=4, warmup_steps=0)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in llama.hf_model.state_dict().items())
    assert all(torch.equal(tensor, kept[name]) for name, tensor in start.tensors().items())
    assert not any(torch.equal(tensor, kept[name]) for name, tensor in state.adapter.tensors().items())


def test_same_seed_gives_the_same_weights_and_another_seed_others(llama, samples):
    first, second, other = (run(llama, samples, settings(steps=6, seed=seed)) for seed in (0, 0, 1))
    assert first.metrics == second.metrics
    for name, tensor in first.adapter.tensors().items():
        assert torch.equal(tensor, second.adapter.tensors()[name]), name
        assert not torch.equal(tensor, other.adapter.tensors()[name]), name


def test_accumulated_gradient_is_that_of_the_mean_loss(llama, samples):
    wanted = settings(batch_samples=3, steps=1, warmup_steps=0, clip_norm=1e9)
    objective = OBJECTIVES[wanted.objective](2, 4)
    adapter = new_adapter(llama.model, CONFIG, 0).trainable()
    losses = []
    for i in sample_indices(0, 4, wanted):
        mass = llama.model.mass(samples.prompt(i), adapter)["lookahead"]
        seen = Seen(mass, components(mass, samples.votes(i), FUSION), adapter.fusion)
        losses.append(objective.loss(seen, samples.truth(i, with_reference=True)))
    torch.stack(losses).mean().backward()
    gradients = [torch.as_tensor(tensor.grad) for tensor in adapter.trained().values()]
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
    metrics = run(llama, samples, wanted).metrics[0]
    assert metrics.loss == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)
    assert metrics.grad_norm == pytest.approx(norm, rel=1e-4)


def test_learning_rate_warms_up_and_falls_along_a_cosine():
    wanted = settings(steps=20, warmup_steps=4, learning_rate=1.0)
    rates = [learning_rate(step, wanted) for step in range(20)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[12] == pytest.approx(0.5)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.02


def test_every_epoch_is_another_order_of_all_samples():
    wanted = settings(batch_samples=3)
    places = [index for step in range(10) for index in sample_indices(step, 5, wanted)]
    epochs = [tuple(places[start : start + 5]) for start in range(0, 30, 5)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
    assert len(set(epochs)) > 1


def test_divergence_is_told_and_leaves_the_weights(llama, samples):
    adapter = new_adapter(llama.model, CONFIG, 0)
    adapter.embeddings[0, 0] = float("nan")
    state = TrainingState.of(adapter)
    with pytest.raises(Diverged, match="step 1: loss nan"):
        list(train(llama.model, samples, state, settings()))
    assert (state.step, state.metrics) == (0, [])


def test_no_samples_are_refused(llama, tmp_path):
    state = TrainingState.of(new_adapter(llama.model, CONFIG, 0))
    with pytest.raises(ValueError, match="samples: there are none"):
        list(train(llama.model, PreparedSamples(llama.model, tmp_path, 0, 0), state, settings()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("objective", "best"),
        ("steps", 0),
        ("batch_samples", 0),
        ("learning_rate", float("nan")),
        ("clip_norm", -1.0),
        ("seed", -1),
        ("max_response_tokens", 0),
        ("budget_ratios", (0.1, 1.0)),
        ("warmup_steps", 30),
        ("typo", 1),
    ],
)
def test_wrong_settings_are_named(field, value):
    with pytest.raises(ValidationError) as caught:
        settings(**{field: value})
    assert field in problems(caught.value)
