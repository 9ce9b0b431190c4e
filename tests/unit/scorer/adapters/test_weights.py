"""Adapter tensors in memory: how they start, where they go, what trains."""

import pytest
import safetensors.torch
import torch

from scorer.adapters.config import AdapterConfig
from scorer.adapters.errors import AdapterInvalid
from scorer.adapters.shapes import ModelShape, parameter_count, tensor_shapes
from scorer.adapters.weights import AdapterWeights, _copies
from tests.unit.scorer.adapters.conftest import MODEL_CONFIG

WIDE = ModelShape.from_config(MODEL_CONFIG | {"hidden_size": 1024, "intermediate_size": 256})


def random_weights(seed=0, config=None):
    generator = torch.Generator().manual_seed(seed)
    return AdapterWeights.random(WIDE, config or AdapterConfig(), 0.02, generator)


def test_untrained_adapter_has_normal_embeddings_and_a_and_no_b_and_weighs_all_alike():
    assert (random_weights().fusion == torch.tensor(1 / 6)).all()
    for name, tensor in random_weights().trained().items():
        std = 0.02 if name == "lookahead_embeddings" else 0.0 if "lora_B" in name else tensor.shape[1] ** -0.5
        # 2048 samples and more: the deviation is known to 1.6 %, five of them are allowed
        assert tensor.std().item() == pytest.approx(std, rel=0.08)


def test_seed_decides_the_weights():
    first, again, other = (random_weights(seed).tensors() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["lookahead_embeddings"], other["lookahead_embeddings"])


def test_names_shapes_and_count_are_the_expected_ones():
    weights = random_weights()
    assert {name: tuple(it.shape) for name, it in weights.tensors().items()} == tensor_shapes(WIDE, AdapterConfig())
    assert weights.parameter_count == parameter_count(WIDE, AdapterConfig())


def test_tensors_make_the_same_weights_again(published):
    model = ModelShape.from_config(MODEL_CONFIG)
    again = AdapterWeights.from_tensors(published.weights.tensors(), model, published.weights.config)
    assert all(again.tensors()[name] is tensor for name, tensor in published.weights.tensors().items())


def test_tensors_of_another_size_are_refused_by_name(published):
    with pytest.raises(AdapterInvalid, match=r"^layers.0.mlp.down_proj.lora_A.weight: has shape \(2, 24\)"):
        AdapterWeights.from_tensors(published.weights.tensors(), WIDE, published.weights.config)


def test_other_dtype_leaves_the_original_alone(published):
    halved = published.weights.to(dtype=torch.bfloat16)
    assert {tensor.dtype for tensor in halved.tensors().values()} == {torch.bfloat16}
    assert {tensor.dtype for tensor in published.weights.tensors().values()} == {torch.float32}


def test_trainable_copy_owns_its_tensors(published):
    trained = published.weights.trainable()
    assert all(tensor.requires_grad and tensor.is_leaf for tensor in trained.trained().values())
    with torch.no_grad():
        trained.embeddings.add_(1)
    assert not torch.equal(trained.embeddings, published.weights.embeddings)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_loaded_tensors_are_those_of_the_file_and_own_their_memory(dtype):
    tensors = random_weights(config=AdapterConfig(lookahead_tokens=5)).to(dtype=dtype).tensors()
    content = safetensors.torch.save(tensors)
    loaded = dict(_copies(content))
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensor) and loaded[name].dtype == dtype for name, tensor in tensors.items())
    loaded["lookahead_embeddings"].zero_()
    assert content == safetensors.torch.save(tensors)
