"""What every method keeps, and that those who know more keep more."""

import pytest
import torch

from scorer.evaluation.measure import Kept, Measure
from scorer.evaluation.methods import METHODS
from scorer.evaluation.methods.base import Work
from scorer.evaluation.methods.laq import query_mass
from scorer.evaluation.metrics import retained_evictable
from scorer.evaluation.side_pass import Pool, RowGroup, run_side_pass

BUDGETS = (12, 20)


def works(bench):
    return [Work(sample, budget) for sample in bench.examined for budget in BUDGETS]


@pytest.mark.parametrize("name", METHODS)
def test_keeps_as_many_tokens_as_asked_and_the_protected_ones(bench, name):
    kept = METHODS[name](bench.setting).keep(works(bench))
    for work, positions in zip(works(bench), kept, strict=True):
        tokens = work.sample.prompt.tokens
        assert positions.shape == (3, 2, work.budget_tokens)
        assert (positions.diff(dim=-1) > 0).all()
        assert positions.min() == 0 and positions.max() == tokens - 1
        assert (positions[..., :2] == torch.arange(2)).all()
        assert (positions[..., -8:] == torch.arange(tokens - 8, tokens)).all()


@pytest.mark.parametrize("name", METHODS)
def test_keeps_the_same_whatever_else_is_asked_for(llama, name):
    together = METHODS[name](llama.setting).keep(works(llama))
    for work, positions in zip(works(llama), together, strict=True):
        (alone,) = METHODS[name](llama.setting).keep([work])
        # padding changes roundings, which may swap two tokens of nearly the same score
        assert (alone == positions).float().mean() > 0.9


@pytest.mark.parametrize("name", METHODS)
def test_nothing_to_do_is_done(llama, name):
    assert METHODS[name](llama.setting).keep([]) == []


def test_speckv_without_a_drafter_names_the_way_out(llama):
    from dataclasses import replace

    with pytest.raises(ValueError, match="drafter: speckv needs the folder of a smaller model; speckv_self needs none"):
        METHODS["speckv"](replace(llama.setting, drafter=None))


def test_the_oracle_retains_what_the_answer_looks_at(bench):
    work = Work(bench.examined[0], 14)
    retained = {}
    for name in ("oracle", "window", "random"):
        (kept,) = METHODS[name](bench.setting).keep([work])
        retained[name] = retained_evictable(work.sample.truth.max, kept, bench.setting.protected)
    assert retained["oracle"] > max(retained["window"], retained["random"])


def test_only_evictable_tokens_count_as_retained(llama):
    mass = torch.tensor([[[9.0, 9.0, 1.0, 3.0, *[9.0] * 8]]])
    kept = torch.tensor([[[0, 1, 3, *range(4, 12)]]])
    assert retained_evictable(mass, kept, llama.setting.protected) == pytest.approx(0.75)


def test_a_cache_that_keeps_everything_changes_nothing(bench):
    sample = bench.examined[0]
    every = torch.arange(sample.prompt.tokens).expand(3, 2, -1)
    measure = Measure(bench.case.model.frozen, bench.setting.protected, response_tokens=6)
    full, kept = measure.results(sample, [Kept(sample, "all", "99%", every)])
    assert (full.method, kept.method, kept.kept_tokens) == ("full", "all", sample.prompt.tokens)
    assert kept.nll == pytest.approx(full.nll, abs=1e-4)
    assert kept.nll_replayed == pytest.approx(full.nll, abs=1e-4)
    assert kept.kl == pytest.approx(0, abs=1e-4)
    assert kept.agreement == 1.0
    assert kept.retained_evictable == pytest.approx(1.0)


def test_the_first_token_is_sampled_before_eviction(llama):
    from dataclasses import replace

    one = replace(llama.samples[0], answer_ids=torch.tensor([3]))
    sample = replace(llama.examined[0], sample=one)
    (kept,) = METHODS["streaming"](llama.setting).keep([Work(sample, 12)])
    measure = Measure(llama.case.model.frozen, llama.setting.protected, response_tokens=6)
    full, evicted = measure.results(sample, [Kept(sample, "streaming", "12", kept)])
    assert evicted.nll == full.nll
    assert evicted.nll_replayed != pytest.approx(full.nll_replayed, abs=1e-3)


def test_laq_scores_with_the_attention_of_its_queries(llama):
    prompt = llama.examined[0].prompt
    queries = [torch.randn(3, 4, 16) for _ in prompt.keys]
    found = query_mass(prompt, queries, 0.25)
    # rows of their own at the end are not part of LAQ's softmax
    logits = torch.einsum("nhd,thd->hnt", queries[0], prompt.keys[0].repeat_interleave(2, dim=1)) * 0.25
    expected = logits.softmax(-1).mean(1).unflatten(0, (2, 2)).mean(1)
    torch.testing.assert_close(found[0], expected)


def test_the_timed_pass_sees_what_the_evaluated_one_sees(bench):
    sample, adapter = bench.examined[0], bench.setting.adapter
    tokens, frozen = sample.prompt.tokens, bench.case.model.frozen
    groups = [
        RowGroup(adapter.embeddings, tokens, tokens, adapted=True),
        RowGroup(frozen.embed(sample.prompt.ids[tokens - 8 :]), tokens - 8, tokens - 8),
        RowGroup(frozen.embed(sample.first_token[None]), tokens, tokens),
    ]
    lookahead, window, first = run_side_pass(frozen, Pool.of(sample.prompt), groups, adapter)
    torch.testing.assert_close(lookahead, sample.seen.lookahead_mass, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(window, sample.seen.window_mass[..., : tokens - 8], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(first, sample.seen.first_token_mass, rtol=1e-3, atol=1e-5)
