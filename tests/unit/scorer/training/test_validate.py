"""Retained mass of the three kinds of scores."""

import pytest
import torch

from scorer.training.loop import TrainingState, train
from scorer.training.responses import greedy_responses
from scorer.training.rows_forward import by_kv_head
from scorer.training.settings import TrainingSettings
from scorer.training.targets import Samples
from scorer.training.validate import validate

SETTINGS = TrainingSettings(
    steps=30, batch_samples=2, learning_rate=1e-2, sink_tokens=2, recent_tokens=4, window_tokens=8
)


@pytest.fixture(scope="module")
def samples(llama):
    generator = torch.Generator().manual_seed(8)
    prompts = [torch.randint(0, 97, (length,), generator=generator) for length in (26, 6, 40)]
    return Samples.make(llama.model, prompts, greedy_responses(llama.model.frozen, prompts, 8))


@pytest.fixture(scope="module")
def before(llama, samples):
    return validate(llama.model, samples, llama.untrained, SETTINGS)


def by_cell(rows):
    return {(row.of, row.scores, row.budget_ratio): row.retained for row in rows}


def test_every_combination_is_measured_on_samples_with_evictable_tokens(before):
    assert len(by_cell(before)) == len(before) == 2 * 3 * 3
    # the prompt of six tokens is all sinks and recent
    assert {row.samples for row in before} == {2}


def test_oracle_retains_most_and_more_budget_retains_more(before):
    cells = by_cell(before)
    for of in ("mean", "max"):
        for scores in ("lookahead", "window"):
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


def test_training_raises_what_lookahead_rows_retain(llama, samples, before):
    state = TrainingState.of(llama.untrained)
    list(train(llama.model, samples, state, SETTINGS))
    after = by_cell(validate(llama.model, samples, state.adapter, SETTINGS))
    assert after["max", "lookahead", 0.2] > by_cell(before)["max", "lookahead", 0.2] + 0.02
    # nothing else may move
    for of in ("mean", "max"):
        for scores in ("oracle", "window"):
            assert after[of, scores, 0.2] == by_cell(before)[of, scores, 0.2]


def test_sinks_and_recent_tokens_do_not_count(llama, samples):
    kept = samples[0].truth
    changed = Samples.make(llama.model, [samples[0].ids], [samples[0].response_ids])
    changed[0].truth.mean[..., :2] *= 100
    changed[0].truth.max[..., -4:] *= 100
    assert not torch.equal(changed[0].truth.max, kept.max)
    one = Samples.make(llama.model, [samples[0].ids], [samples[0].response_ids])
    assert validate(llama.model, changed, llama.untrained, SETTINGS) == validate(
        llama.model, one, llama.untrained, SETTINGS
    )
