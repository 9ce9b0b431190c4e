"""Names, shapes and counts of an adapter's tensors, without a model."""

import pytest

from scorer.adapters.config import AdapterConfig
from scorer.adapters.errors import AdapterMismatch
from scorer.adapters.shapes import ModelShape, parameter_count, tensor_shapes
from tests.unit.scorer.adapters.conftest import MODEL_CONFIG

# hidden, intermediate, layers, heads, KV heads, head size of the published config.json; then parameters in millions of
# the whole adapter and of one with LoRA on q and k only (method.md section 11)
PUBLISHED = {
    "Llama-3.2-1B": ("llama", 2048, 8192, 16, 32, 8, 64, 5.40, 0.92),
    "Llama-3.2-3B": ("llama", 3072, 8192, 28, 24, 8, 128, 11.90, 2.39),
    "Llama-3.1-8B": ("llama", 4096, 14336, 32, 32, 8, None, 20.55, 3.54),
    "Qwen3-1.7B": ("qwen3", 2048, 6144, 28, 16, 8, 128, 8.53, 1.67),
    "Qwen3-4B": ("qwen3", 2560, 9728, 36, 32, 8, 128, 16.22, 3.03),
    "Qwen3-8B": ("qwen3", 4096, 12288, 36, 32, 8, 128, 21.45, 3.96),
}
FIELDS = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
)


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_those_of_the_method_page(name):
    *values, whole, queries_and_keys = PUBLISHED[name]
    model = ModelShape.from_config(dict(zip(FIELDS, values, strict=True)))
    few = AdapterConfig(target_modules=("q_proj", "k_proj"))
    # the page rounds to two decimals
    assert round(parameter_count(model, AdapterConfig()) / 1e6, 2) == whole
    assert round(parameter_count(model, few) / 1e6, 2) == queries_and_keys


def test_every_linear_but_those_behind_the_last_scores_is_adapted():
    shapes = tensor_shapes(ModelShape.from_config(MODEL_CONFIG), AdapterConfig(lookahead_tokens=4, rank=2))
    assert shapes["lookahead_embeddings"] == (4, 16)
    assert shapes["layers.0.self_attn.k_proj.lora_A.weight"] == (2, 16)
    assert shapes["layers.0.self_attn.k_proj.lora_B.weight"] == (8, 2)
    assert shapes["layers.1.mlp.down_proj.lora_A.weight"] == (2, 24)
    assert shapes["layers.1.mlp.down_proj.lora_B.weight"] == (16, 2)
    last = {name.removeprefix("layers.2.") for name in shapes if name.startswith("layers.2.")}
    assert last == {f"self_attn.{module}.lora_{side}.weight" for module in ("q_proj", "k_proj") for side in "AB"}
    assert shapes["fusion_weights"] == (3, 2, 6)
    assert len(shapes) == 2 + 2 * (2 * 7 + 2)


@pytest.mark.parametrize("model_type", ["llama", "mistral", "qwen2", "qwen3"])
def test_head_dim_of_the_config_wins(model_type):
    model = ModelShape.from_config(MODEL_CONFIG | {"model_type": model_type, "head_dim": 32})
    assert model.linear("q_proj") == (16, 4 * 32)
    assert model.linear("o_proj") == (4 * 32, 16)


def test_absent_sizes_are_what_transformers_assumes():
    absent = {key: value for key, value in MODEL_CONFIG.items() if key != "num_key_value_heads"}
    assert ModelShape.from_config(absent).kv_heads == 4
    assert ModelShape.from_config(MODEL_CONFIG | {"head_dim": None}).head_dim == 4


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "gemma3"}, "model_type: 'gemma3' is not supported"),
        ({"model_type": None}, "model_type: None"),
        ({"hidden_size": None}, "hidden_size: None"),
        ({"hidden_size": 18}, "head_dim: None"),
        ({"num_hidden_layers": 0}, "num_hidden_layers: 0"),
        ({"num_attention_heads": "4"}, "num_attention_heads: '4'"),
        ({"num_key_value_heads": 3}, "num_key_value_heads: 3 does not divide"),
        ({"intermediate_size": True}, "intermediate_size: True"),
        ({"model_type": "qwen3"}, "head_dim: None"),
        ({"model_type": "mistral", "num_key_value_heads": None}, "num_key_value_heads: None"),
    ],
    ids=str,
)
def test_config_that_cannot_be_adapted_is_refused_by_field(change, named):
    with pytest.raises(AdapterMismatch, match=f"^{named}"):
        ModelShape.from_config(MODEL_CONFIG | change)
