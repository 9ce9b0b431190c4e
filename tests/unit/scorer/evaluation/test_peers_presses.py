"""One prefill for all presses is what each does alone. Needs kvpress: `make check-peers`."""

import pytest
import torch

pytest.importorskip("kvpress")

from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from scorer.evaluation.caches import whole
from scorer.evaluation.forced import Continuation, predict
from scorer.evaluation.forward import prefill
from scorer.evaluation.peers.collect import press_sample
from scorer.evaluation.peers.presses import PRESSES, Case, make_press
from scorer.evaluation.samples import EvalSample
from scorer.training.frozen_model import FrozenModel

PROMPT_TOKENS, ANSWER = 200, [5, 80, 33, 12, 60]
# 48 is less than the usual window of SnapKV, 100 makes PyramidKV's first layer as large as it may be
BUDGETS = (48, 100)
CASES = [Case(press, str(budget), budget) for press in PRESSES for budget in BUDGETS]
SIZES = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    # five times the usual, so that attention is far from uniform
    "initializer_range": 0.1,
}


@pytest.fixture(params=["llama", "qwen3"])
def frozen(request):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES)) if request.param == "llama" else _qwen3()
    return FrozenModel(model)


def _qwen3():
    return Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=24))


@pytest.fixture
def sample():
    ids = torch.randint(1, 97, (PROMPT_TOKENS,), generator=torch.Generator().manual_seed(1))
    return EvalSample("0" * 16, "family", True, ids, None, None)


@torch.no_grad()
def pressed_alone(frozen, sample, case):
    """The cache and the last logits that kvpress' own context manager leaves."""
    cache = DynamicCache()
    with make_press(case, sample.tokens)(frozen.hf_model):
        out = frozen.hf_model(sample.ids[None], past_key_values=cache, use_cache=True)
    return cache, out.logits[0, -1]


def test_one_prefill_keeps_what_each_press_keeps_alone(frozen, sample):
    pressed = press_sample(frozen, sample, CASES)
    for case in CASES:
        cache, first_logits = pressed_alone(frozen, sample, case)
        context = pressed.kept[case]
        for layer, keys, values in zip(cache.layers, context.keys, context.values, strict=True):
            assert torch.equal(keys, layer.keys[0]), case
            assert torch.equal(values, layer.values[0]), case
        torch.testing.assert_close(pressed.first_logits, first_logits)


def test_answers_are_predicted_as_by_transformers_from_the_same_cache(frozen, sample):
    pressed = press_sample(frozen, sample, CASES)
    answer = torch.tensor(ANSWER)
    text = Continuation(sample.tokens, pressed.first_logits, answer, answer)
    predicted = predict(frozen, list(pressed.kept.values()), text).answer
    for case, actual in zip(pressed.kept, predicted, strict=True):
        cache, first_logits = pressed_alone(frozen, sample, case)
        rows = [first_logits]
        for i, token in enumerate(ANSWER[:-1]):
            # one token at a time, because layers of PyramidKV differ in length
            place = torch.tensor([[sample.tokens + i]])
            with torch.no_grad():
                out = frozen.hf_model(torch.tensor([[token]]), past_key_values=cache, position_ids=place)
            rows.append(out.logits[0, -1])
        torch.testing.assert_close(actual, torch.stack(rows), rtol=1e-4, atol=1e-4, msg=f"{case}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.press}-{case.budget}")
def test_presses_keep_their_budget(frozen, sample, case):
    kept = [keys.shape[1] for keys in press_sample(frozen, sample, [case]).kept[case].keys]
    assert sum(kept) / len(kept) == pytest.approx(case.budget_tokens, abs=0.5)
    if case.press != "PyramidKV":
        assert set(kept) == {case.budget_tokens}


def test_layers_of_the_pyramid_shrink_with_depth(frozen, sample):
    for case in (case for case in CASES if case.press == "PyramidKV"):
        kept = [keys.shape[1] for keys in press_sample(frozen, sample, [case]).kept[case].keys]
        assert kept == sorted(kept, reverse=True)
        assert kept[0] > case.budget_tokens > kept[-1]


def test_whole_cache_is_that_of_a_plain_prefill_before_and_after(frozen, sample):
    before = whole(prefill(frozen, sample.ids)[0])
    pressed = press_sample(frozen, sample, CASES).whole
    after = whole(prefill(frozen, sample.ids)[0])
    for plain in (before, after):
        assert all(torch.equal(a, b) for a, b in zip(plain.keys, pressed.keys, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(plain.values, pressed.values, strict=True))
