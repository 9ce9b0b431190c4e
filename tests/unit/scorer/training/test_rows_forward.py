"""The rows behind a prompt, against transformers' own forward pass over everything at once."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM

from scorer.training.rows_forward import LookaheadModel, by_kv_head
from tests.unit.scorer.training.conftest import FIRST, LOOKAHEAD, PROMPT_TOKENS, SIZES, WINDOW

# float32, summed in another order, through three layers whose errors add up; probabilities are at most 1
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6}


def attentions(case, *behind):
    """Of the prompt and rows [R, hidden] behind it, in one pass: [L, Hq, T + R, T + R]."""
    rows = torch.cat([case.hf_model.model.embed_tokens(case.ids), *behind])
    with torch.no_grad():
        return torch.cat(case.hf_model(inputs_embeds=rows[None], output_attentions=True).attentions)


def test_attention_of_the_test_models_is_neither_uniform_nor_one_hot(case):
    # otherwise the comparisons below would see little
    largest = attentions(case)[:, :, -1].amax(-1).mean()
    assert 2 / PROMPT_TOKENS < largest < 0.9


def test_lookahead_rows_without_lora_are_those_of_the_model_itself(case):
    expected = attentions(case, case.untrained.embeddings)[:, :, PROMPT_TOKENS:, :PROMPT_TOKENS].mean(2)
    mass = case.model.mass(case.prompt, case.untrained)["lookahead"]
    assert mass.dtype == torch.float32
    torch.testing.assert_close(mass, expected, **CLOSE)


def test_earlier_lookahead_rows_do_not_see_later_ones(case):
    # the mean over rows hides causality, so each row is taken out by difference
    expected = attentions(case, case.untrained.embeddings)[:, :, PROMPT_TOKENS:, :PROMPT_TOKENS]
    for rows in range(1, LOOKAHEAD + 1):
        fewer = replace(case.untrained, embeddings=case.untrained.embeddings[:rows])
        mass = case.model.mass(case.prompt, fewer)["lookahead"]
        torch.testing.assert_close(mass, expected[:, :, :rows].mean(2), **CLOSE)


def test_window_rows_are_the_last_prompt_tokens(case):
    expected = attentions(case)[:, :, -WINDOW:].mean(2)
    mass = case.model.mass(case.prompt, window=WINDOW)["window"]
    torch.testing.assert_close(mass, expected, **CLOSE)
    torch.testing.assert_close(mass.sum(-1), torch.ones(mass.shape[:2]))


def test_first_token_is_one_row_behind_the_prompt(case):
    token = case.hf_model.model.embed_tokens(torch.tensor([FIRST]))
    expected = attentions(case, token)[:, :, -1, :PROMPT_TOKENS]
    torch.testing.assert_close(case.model.mass(case.prompt, first_token=FIRST)["first"], expected, **CLOSE)


def test_kinds_do_not_see_each_other(case):
    model, prompt = case.model, case.prompt
    together = model.mass(prompt, case.adapter, WINDOW, FIRST)
    torch.testing.assert_close(together["lookahead"], model.mass(prompt, case.adapter)["lookahead"], **CLOSE)
    torch.testing.assert_close(together["window"], model.mass(prompt, window=WINDOW)["window"], **CLOSE)
    torch.testing.assert_close(together["first"], model.mass(prompt, first_token=FIRST)["first"], **CLOSE)


def test_lora_changes_the_lookahead_rows_and_nothing_else(case):
    before = [tensor.clone() for tensor in (*case.prompt.keys, *case.prompt.values)]
    plain = case.model.mass(case.prompt, case.untrained, WINDOW, FIRST)
    adapted = case.model.mass(case.prompt, case.adapter, WINDOW, FIRST)
    assert (adapted["lookahead"] - plain["lookahead"]).abs().amax(dim=(1, 2)).min() > 1e-3
    assert torch.equal(adapted["window"], plain["window"])
    assert torch.equal(adapted["first"], plain["first"])
    assert all(map(torch.equal, before, (*case.prompt.keys, *case.prompt.values)))


def test_adapted_rows_are_those_of_a_model_with_merged_weights(case):
    """The prompt's K/V from the base model, the rows through W + scale * B A: what method.md section 3 says."""
    mass = case.model.mass(case.prompt, case.adapter)["lookahead"]
    plain = replace(case.adapter, layers=({},) * len(case.adapter.layers))
    with merged(case):
        expected = case.model.mass(case.prompt, plain)["lookahead"]
    torch.testing.assert_close(mass, expected, **CLOSE)


@contextlib.contextmanager
def merged(case):
    """The adapter's deltas in the base weights, for a while."""
    deltas = []
    for layer, loras in zip(case.hf_model.model.layers, case.adapter.layers, strict=True):
        for name, lora in loras.items():
            linear = getattr(layer.mlp, name, None) or getattr(layer.self_attn, name)
            deltas.append((linear.weight.data, case.adapter.config.scale * lora.b @ lora.a))
    before = [weight.clone() for weight, _ in deltas]
    for weight, delta in deltas:
        weight.add_(delta)
    yield
    for (weight, _), old in zip(deltas, before, strict=True):
        weight.copy_(old)


def test_gradient_reaches_every_trained_tensor_and_no_other(case):
    adapter = case.adapter.trainable()
    loss = case.model.mass(case.prompt, adapter, WINDOW, FIRST)["lookahead"].square().sum()
    loss.backward()
    for name, tensor in adapter.trained().items():
        assert tensor.grad is not None and tensor.grad.abs().max() > 0, name
    assert all(parameter.grad is None for parameter in case.hf_model.parameters())


def test_b_learns_from_the_start_although_it_is_zero(case):
    adapter = case.untrained.trainable()
    case.model.mass(case.prompt, adapter)["lookahead"].square().sum().backward()
    for name, tensor in adapter.trained().items():
        # dA = B^T (...) is zero until B moves
        assert (tensor.grad.abs().max() > 0) == (".lora_A." not in name), name


@pytest.mark.parametrize(
    "name", ["lookahead_embeddings", "layers.0.mlp.down_proj.lora_A.weight", "layers.2.self_attn.k_proj.lora_B.weight"]
)
def test_gradient_is_the_finite_difference(case, name):
    adapter = case.adapter.trainable()
    target = torch.rand(3, 4, PROMPT_TOKENS, generator=torch.Generator().manual_seed(2))
    tensor = adapter.tensors()[name]
    (case.model.mass(case.prompt, adapter)["lookahead"] * target).sum().backward()
    direction = tensor.grad / tensor.grad.norm()
    step = 1e-2
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            tensor.add_(direction, alpha=sign * step)
            ends.append((case.model.mass(case.prompt, adapter)["lookahead"].double() * target).sum())
            tensor.sub_(direction, alpha=sign * step)
    # along the gradient the slope is its norm; 2 % for the third derivative and float32
    assert (ends[0] - ends[1]).item() / (2 * step) == pytest.approx(tensor.grad.norm().item(), rel=2e-2)


def test_bfloat16_model_trains_a_float32_adapter(llama):
    exact = llama.model.mass(llama.prompt, llama.adapter)["lookahead"]
    model = LookaheadModel(type(llama.hf_model)(llama.hf_model.config).to(torch.bfloat16))
    model.frozen.hf_model.load_state_dict(llama.hf_model.state_dict())
    adapter = llama.adapter.trainable()
    mass = model.mass(model.prefill(llama.ids), adapter)["lookahead"]
    mass.sum().backward()
    assert (mass.dtype, adapter.embeddings.grad.dtype) == (torch.float32, torch.float32)
    # eight bits of mantissa through three layers
    torch.testing.assert_close(mass, exact, rtol=0.2, atol=0.01)


def test_group_mean_is_what_policies_score():
    mass = torch.arange(2 * 4 * 3.0).view(2, 4, 3)
    expected = torch.stack([mass[:, :2].mean(1), mass[:, 2:].mean(1)], dim=1)
    torch.testing.assert_close(by_kv_head(mass, 2), expected)


def test_no_rows_give_no_mass(llama):
    assert llama.model.mass(llama.prompt) == {}


@pytest.mark.parametrize("window", [-1, PROMPT_TOKENS + 1])
def test_window_that_does_not_fit_is_refused(llama, window):
    with pytest.raises(ValueError, match=f"window: {window} rows of a prompt of {PROMPT_TOKENS} tokens"):
        llama.model.mass(llama.prompt, window=window)


def test_whole_prompt_can_be_the_window(llama):
    expected = attentions(llama).mean(2)
    torch.testing.assert_close(llama.model.mass(llama.prompt, window=PROMPT_TOKENS)["window"], expected, **CLOSE)


def test_sliding_windows_are_refused():
    mistral = MistralForCausalLM(MistralConfig(**SIZES, sliding_window=16))
    qwen = Qwen2ForCausalLM(Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=16, max_window_layers=1))
    for hf_model in (mistral, qwen):
        with pytest.raises(ValueError, match="sliding_window: 16 is not supported"):
            LookaheadModel(hf_model)


def test_other_families_are_refused():
    hf_model = LlamaForCausalLM(LlamaConfig(**SIZES))
    hf_model.config.model_type = "gemma"
    with pytest.raises(ValueError, match="model_type: 'gemma' is not supported"):
        LookaheadModel(hf_model)
