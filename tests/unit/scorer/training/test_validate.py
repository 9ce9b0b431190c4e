"""Retained mass of the four kinds of scores."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from scorer.adapters.config import FusionConfig
from scorer.training.loop import TrainingState, train
from scorer.training.prepared import prepare
from scorer.training.rows_forward import by_kv_head
from scorer.training.settings import TrainingSettings
from scorer.training.validate import validate
from tests.unit.scorer.training.conftest import random_prompts, recipe

FUSION = FusionConfig(window_tokens=8, sink_tokens=2, recent_tokens=4)
SETTINGS = TrainingSettings(
    steps=30, batch_samples=2, learning_rate=1e-2, sink_tokens=2, recent_tokens=4, window_tokens=8
)


@pytest.fixture(scope="module")
def samples(llama, tmp_path_factory):
    return prepare(llama.model, random_prompts((26, 6, 40), 8), tmp_path_factory.mktemp("samples"), recipe())


@pytest.fixture(scope="module")
def untrained(llama):
    config = llama.untrained.config.model_copy(update={"fusion": FUSION})
    return replace(llama.untrained, config=config)


@pytest.fixture(scope="module")
def before(llama, samples, untrained):
    return validate(llama.model, samples, untrained, SETTINGS)


def by_cell(rows):
    return {(row.of, row.scores, row.budget_ratio): row.retained for row in rows}


def test_every_combination_is_measured_on_samples_with_evictable_tokens(before):
    assert len(by_cell(before)) == len(before) == 2 * 4 * 3
    # the prompt of six tokens is all sinks and recent
    assert {row.samples for row in before} == {2}


def test_oracle_retains_most_and_more_budget_retains_more(before):
    cells = by_cell(before)
    for of in ("mean", "max"):
        for scores in ("lookahead", "fused", "window"):
            shares = [cells[of, scores, ratio] for ratio in SETTINGS.budget_ratios]
            assert shares == sorted(shares)
            for ratio in SETTINGS.budget_ratios:
                assert 0 < cells[of, scores, ratio] <= cells[of, "oracle", ratio] < 1


def test_oracle_is_the_share_of_the_largest_masses(llama, samples, before):
    shares = []
    for index in (0, 2):
        mass = by_kv_head(samples.truth(index).max, 2)[..., 2:-4]
        largest = mass.sort(dim=-1, descending=True).values
        # 20 % of 20 and of 34 tokens, rounded up
        shares.append((largest[..., : (4, 0, 7)[index]].sum(-1) / mass.sum(-1)).mean())
    assert by_cell(before)["max", "oracle", 0.2] == pytest.approx(torch.stack(shares).mean().item(), rel=1e-5)


def test_training_raises_what_lookahead_rows_retain(llama, samples, untrained, before):
    state = TrainingState.of(untrained)
    list(train(llama.model, samples, state, SETTINGS))
    after = by_cell(validate(llama.model, samples, state.adapter, SETTINGS))
    assert after["max", "lookahead", 0.2] > by_cell(before)["max", "lookahead", 0.2] + 0.02
    # nothing else may move
    for of in ("mean", "max"):
        for scores in ("oracle", "window"):
            assert after[of, scores, 0.2] == by_cell(before)[of, scores, 0.2]


def test_fused_is_the_policy_with_the_weights_of_the_adapter(llama, samples, untrained):
    weights = torch.zeros_like(untrained.fusion)
    weights[..., 0] = 1
    cells = by_cell(validate(llama.model, samples, untrained.with_fusion(weights), SETTINGS))
    for ratio in SETTINGS.budget_ratios:
        assert cells["max", "fused", ratio] == cells["max", "lookahead", ratio]


def test_sinks_and_recent_tokens_do_not_count(llama, untrained, tmp_path):
    prompts = random_prompts((26,), 8)
    samples = prepare(llama.model, prompts, tmp_path, recipe())
    before = validate(llama.model, samples, untrained, SETTINGS)
    file = tmp_path / "000000.safetensors"
    tensors = load_file(file)
    tensors["mean"][..., :2] *= 100
    tensors["max"][..., -4:] *= 100
    save_file(tensors, file)
    assert validate(llama.model, samples, untrained, SETTINGS) == before
