"""LoRA acts while it is asked to, on its rows, in its columns; before and after the model is the base model."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from scorer.adapters.config import AdapterConfig
from scorer.adapters.shapes import ModelShape
from scorer.adapters.weights import AdapterWeights
from scorer.kernels.lora_rows import rows_of
from services.runtime.backends.sglang.lora_hooks import LINEARS, lora_on_rows

SHAPE = ModelShape(hidden_size=12, intermediate_size=20, layers=2, heads=4, kv_heads=2, head_dim=4)
ROWS, ADAPTED = 7, [1, 2, 5]
LAST_LAYER = {"q_proj", "k_proj"}


class Linear(nn.Module):
    """As SGLang's: the output, and a bias that was not added."""

    def __init__(self, fan_in, fan_out):
        super().__init__()
        self.linear = nn.Linear(fan_in, fan_out)

    def forward(self, inputs):
        return self.linear(inputs), None


def make_layer():
    def joined(*names):
        return Linear(SHAPE.linear(names[0])[0], sum(SHAPE.linear(name)[1] for name in names))

    blocks = {"self_attn": SimpleNamespace(), "mlp": SimpleNamespace()}
    for block, linear, names in LINEARS:
        setattr(blocks[block], linear, joined(*names))
    return SimpleNamespace(**blocks)


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return [make_layer() for _ in range(SHAPE.layers)]


@pytest.fixture
def adapter():
    config = AdapterConfig(lookahead_tokens=3, rank=2, alpha=6)
    weights = AdapterWeights.random(SHAPE, config, 0.1, torch.Generator().manual_seed(1))
    moved = {name: torch.randn_like(tensor) for name, tensor in weights.tensors().items()}
    return AdapterWeights.from_tensors(moved, SHAPE, config)


@torch.no_grad()
def outputs(layers):
    """Of every linear, on the same inputs each time, by layer and name."""
    generator, found = torch.Generator().manual_seed(2), dict[tuple[int, str], tuple[torch.Tensor, torch.Tensor]]()
    for index, layer in enumerate(layers):
        for block, linear, names in LINEARS:
            inputs = torch.randn(ROWS, SHAPE.linear(names[0])[0], generator=generator)
            output, bias = getattr(getattr(layer, block), linear)(inputs)
            assert bias is None
            parts = output.split([SHAPE.linear(name)[1] for name in names], dim=-1)
            found |= {(index, name): (inputs, part.clone()) for name, part in zip(names, parts, strict=True)}
    return found


def adapted(layers, adapter):
    with lora_on_rows(layers, SHAPE, adapter, rows_of([(1, 3), (5, 6)], torch.device("cpu"))):
        return outputs(layers)


def test_each_linear_gets_its_own_delta_in_the_adapted_rows_and_in_no_other(layers, adapter):
    base, after = outputs(layers), adapted(layers, adapter)
    for (index, name), (inputs, expected) in base.items():
        actual = after[index, name][1]
        others = [row for row in range(ROWS) if row not in ADAPTED]
        assert torch.equal(actual[others], expected[others])
        if index == SHAPE.layers - 1 and name not in LAST_LAYER:
            assert torch.equal(actual, expected)
            continue
        lora = adapter.layers[index][name]
        delta = adapter.config.scale * inputs @ lora.a.T @ lora.b.T
        torch.testing.assert_close(actual[ADAPTED], (expected + delta)[ADAPTED])


def test_linears_without_lora_in_the_adapter_are_left_alone(layers, adapter):
    config = AdapterConfig(lookahead_tokens=3, rank=2, alpha=6, target_modules=("k_proj", "up_proj"))
    few = [{name: lora for name, lora in layer.items() if name in config.target_modules} for layer in adapter.layers]
    partial = AdapterWeights(config, adapter.embeddings, tuple(few), adapter.fusion)
    base, after, whole = outputs(layers), adapted(layers, partial), adapted(layers, adapter)
    for key in base:
        same = whole if key[1] in config.target_modules else base
        assert torch.equal(after[key][1], same[key][1]), key


def test_afterwards_the_model_is_the_base_model_to_the_bit(layers, adapter):
    base = outputs(layers)
    adapted(layers, adapter)
    assert all(torch.equal(base[key][1], outputs(layers)[key][1]) for key in base)


def test_an_error_in_the_pass_takes_the_hooks_away_too(layers, adapter):
    base = outputs(layers)
    with pytest.raises(RuntimeError, match="pass"), lora_on_rows(layers, SHAPE, adapter, torch.tensor([0])):
        raise RuntimeError("the pass failed")
    assert all(torch.equal(base[key][1], outputs(layers)[key][1]) for key in base)


def test_an_error_half_way_through_leaves_no_hook(layers, adapter):
    base = outputs(layers)
    whole = layers[1].self_attn.qkv_proj
    layers[1].self_attn.qkv_proj = None
    with pytest.raises(AttributeError), lora_on_rows(layers, SHAPE, adapter, torch.tensor([0])):
        pass
    layers[1].self_attn.qkv_proj = whole
    assert all(torch.equal(base[key][1], outputs(layers)[key][1]) for key in base)
