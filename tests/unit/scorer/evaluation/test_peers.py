"""What can be said of the peers without kvpress: budgets, names, refusals and results."""

import sys
from dataclasses import fields

import pytest
import torch
import typer
from typer.testing import CliRunner

from scorer.evaluation.caches import Context, whole
from scorer.evaluation.forward import prefill
from scorer.evaluation.methods.base import Protected
from scorer.evaluation.peers.evaluate import PeerEvaluation
from scorer.evaluation.peers.main import main
from scorer.evaluation.peers.measure import PeerMeasure
from scorer.evaluation.peers.pressed import Pressed, kept_tokens
from scorer.evaluation.peers.presses import (
    PRESSES,
    CannotPress,
    compression_ratio,
    known,
    parameters,
    require_kvpress,
)
from scorer.evaluation.peers.replay import lacks_last, replayed_logits
from scorer.evaluation.results import METRICS, Result, append_results, read_results
from scorer.evaluation.samples import EvalSample
from scorer.torch_compat import declare_vision_ops
from scorer.training.data.sample import Answer
from scorer.training.frozen_model import FrozenModel

# before the first import of a model class
declare_vision_ops()

from transformers import LlamaConfig, LlamaForCausalLM

PROMPT_TOKENS = 60


@pytest.fixture
def frozen():
    torch.manual_seed(0)
    sizes = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    return FrozenModel(LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2)))


@pytest.fixture
def samples():
    every = torch.randint(1, 97, (2, PROMPT_TOKENS), generator=torch.Generator().manual_seed(1))
    gold = torch.tensor([3, 4])
    known_answer = EvalSample("a" * 16, "needle", True, every[0], Answer(("right",)), gold)
    return [known_answer, EvalSample("b" * 16, "user", False, every[1], None, None)]


def keep_last(frozen, sample, cases):
    """A press that keeps the last tokens, and one token more in the first layer."""
    prompt, first_logits = prefill(frozen, sample.ids)
    every = whole(prompt)

    def last(tensors, kept):
        return [tensor[:, -kept - (i == 0) :] for i, tensor in enumerate(tensors)]

    kept = {
        case: Context(last(every.keys, case.budget_tokens), last(every.values, case.budget_tokens)) for case in cases
    }
    return Pressed(sample, first_logits, every, kept)


def evaluation(frozen, presses=("SnapKV", "Knorm"), budgets=("50%",), text="right"):
    measure = PeerMeasure(frozen, 4, ("50%",), (), lambda ids: text)
    return PeerEvaluation(presses, budgets, Protected(1, 2), keep_last, measure)


@pytest.mark.parametrize("prompt_tokens", [37, 200, 768, 4095, 100_003])
def test_ratio_leaves_exactly_the_budget(prompt_tokens):
    for budget in {1, 36, prompt_tokens // 5, prompt_tokens // 3, prompt_tokens - 1}:
        ratio = compression_ratio(prompt_tokens, budget)
        # kvpress rounds down for most presses, and PyramidKV to the nearest
        assert int(prompt_tokens * (1 - ratio)) == round(prompt_tokens * (1 - ratio)) == budget
        assert 0 <= ratio < 1


def test_presses_have_their_own_defaults_where_the_budget_allows():
    assert all(parameters(press, 2000) in ({}, {"window_size": 64}) for press in PRESSES)
    assert parameters("SnapKV", 65) == {}
    assert parameters("SnapKV", 64) == {"window_size": 32}
    assert parameters("PyramidKV", 154) == {"window_size": 7}
    assert parameters("TOVA", 36) == {}


def test_all_presses_are_run_unless_some_are_named():
    assert known(()) == tuple(PRESSES)
    assert known(("TOVA", "Knorm", "TOVA")) == ("TOVA", "Knorm")
    with pytest.raises(CannotPress, match=r"press: H2O: not known; choose from SnapKV, "):
        known(("H2O",))


def test_missing_kvpress_is_told_with_the_target_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "kvpress", None)
    with pytest.raises(CannotPress, match=r"kvpress: is not installed.*make eval-peers"):
        require_kvpress()
    (tmp_path / "data.jsonl").touch()
    app = typer.Typer()
    app.command()(main)
    options = ["--model", tmp_path, "--data", tmp_path / "data.jsonl", "--out", tmp_path / "out.jsonl"]
    answer = CliRunner().invoke(app, [str(option) for option in options])
    assert answer.exit_code == 1
    assert "make eval-peers" in str(answer.exception) + answer.output
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--dtype", "int8", "dtype: 'int8'"), ("--budget", "half", "budget: 'half'"), ("--press", "H2O", "press: H2O")],
)
def test_wrong_options_are_named(tmp_path, option, value, message):
    (tmp_path / "data.jsonl").touch()
    app = typer.Typer()
    app.command()(main)
    options = ["--model", tmp_path, "--data", tmp_path / "data.jsonl", "--out", tmp_path / "out.jsonl", option, value]
    answer = CliRunner().invoke(app, [str(each) for each in options])
    assert answer.exit_code == 1
    assert message in str(answer.exception) + answer.output


def test_results_are_rows_of_our_evaluation(frozen, samples, tmp_path):
    results = [result for chunk in evaluation(frozen).run(samples, ()) for result in chunk]
    append_results(tmp_path / "out.jsonl", results)
    assert read_results(tmp_path / "out.jsonl") == results
    assert [field.name for field in fields(Result)][7:] == list(METRICS)
    assert [(r.sample[0], r.method, r.budget) for r in results] == [
        (sample, f"kvpress {press}", "50%") for sample in "ab" for press in ("SnapKV", "Knorm")
    ]
    for result in results:
        # 31 in the first layer, 30 in the second
        assert result.kept_tokens in (30, 31)
        assert result.nll > 0
        assert result.nll_replayed > 0
        assert result.kl >= 0
        assert 0 <= result.agreement <= 1
        assert result.retained_evictable is None


def test_accuracy_is_of_samples_that_full_kv_answers_rightly(frozen, samples):
    right = [r.accuracy for chunk in evaluation(frozen).run(samples, ()) for r in chunk]
    wrong = [r.accuracy for chunk in evaluation(frozen, text="no").run(samples, ()) for r in chunk]
    assert right == [1.0, 1.0, None, None]
    assert wrong == [None] * 4


def test_run_goes_on_with_what_is_missing(frozen, samples):
    results = [result for chunk in evaluation(frozen).run(samples, ()) for result in chunk]
    done = {result.key for result in results[:3]}
    rest = [result for chunk in evaluation(frozen).run(samples, done) for result in chunk]
    assert [result.key for result in rest] == [results[3].key]
    assert evaluation(frozen).open_samples(samples, {result.key for result in results}) == []


def test_budgets_that_evict_nothing_are_left_out(frozen, samples):
    budgets = ("10", str(PROMPT_TOKENS))
    results = [r for chunk in evaluation(frozen, budgets=budgets).run(samples, ()) for r in chunk]
    assert {result.budget for result in results} == {"10"}


def test_what_keeps_more_is_closer_to_the_whole_cache(frozen, samples):
    budgets = (str(PROMPT_TOKENS - 1),)
    nearly = [r for chunk in evaluation(frozen, budgets=budgets).run(samples, ()) for r in chunk]
    few = [r for chunk in evaluation(frozen, budgets=("5",)).run(samples, ()) for r in chunk]
    assert all(a.kl < b.kl for a, b in zip(nearly, few, strict=True))


def test_last_token_that_runs_again_is_seen_once(frozen, samples):
    """By itself where it was evicted, in the cache where it was kept."""
    prompt, first_logits = prefill(frozen, samples[0].ids)
    every = whole(prompt)
    pressed = Pressed(samples[0], first_logits, every, {})
    without = Context([keys[:, :-1] for keys in every.keys], [values[:, :-1] for values in every.values])
    # one head lacks the last token, the other the first
    mixed = Context(*([_mixed(tensor) for tensor in tensors] for tensors in (every.keys, every.values)))
    both, neither, one = replayed_logits(frozen, pressed, [every, without, mixed])
    torch.testing.assert_close(both, first_logits)
    torch.testing.assert_close(neither, first_logits)
    assert lacks_last(mixed, every).tolist() == [[True, False]] * 2
    assert not torch.allclose(one, first_logits)


def _mixed(tensor):
    return torch.stack([tensor[0, :-1], tensor[1, 1:]])


def test_kept_tokens_are_a_mean_over_layers():
    layers = [torch.zeros(2, kept, 4) for kept in (10, 4, 1)]
    assert kept_tokens(Context(layers, layers)) == 5
