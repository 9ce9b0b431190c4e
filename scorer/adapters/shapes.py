"""Names and shapes of an adapter's tensors, from the model's `config.json` alone."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from scorer.adapters.config import FUSION_COMPONENTS, MODULES, AdapterConfig
from scorer.adapters.errors import AdapterMismatch

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
EMBEDDINGS = "lookahead_embeddings"
FUSION = "fusion_weights"
# nothing after the last layer's scores is computed, so its other linears cannot matter
LAST_LAYER_MODULES = ("q_proj", "k_proj")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a model that an adapter's tensors follow."""

    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Of a Hugging Face `config.json`. Raises AdapterMismatch naming the field that does not fit."""
        model_type = config.get("model_type")
        if model_type not in MODEL_TYPES:
            raise AdapterMismatch(f"model_type: {model_type!r} is not supported; known: {', '.join(MODEL_TYPES)}")
        hidden, heads = _size(config, "hidden_size"), _size(config, "num_attention_heads")
        # where the field is absent, transformers assumes this for Llama, and a fixed number for the others
        kv_default = heads if model_type == "llama" else None
        kv_heads = _size(config, "num_key_value_heads", kv_default)
        if heads % kv_heads:
            raise AdapterMismatch(f"num_key_value_heads: {kv_heads} does not divide num_attention_heads = {heads}")
        # Qwen3's heads are not a division of its hidden size
        head_default = None if model_type == "qwen3" or hidden % heads else hidden // heads
        head_dim = _size(config, "head_dim", head_default)
        inner, layers = _size(config, "intermediate_size"), _size(config, "num_hidden_layers")
        return cls(hidden, inner, layers, heads, kv_heads, head_dim)

    def linear(self, module: str) -> tuple[int, int]:
        """Input and output size of a linear named in MODULES."""
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        sizes = {
            "q_proj": (self.hidden_size, query),
            "k_proj": (self.hidden_size, key),
            "v_proj": (self.hidden_size, key),
            "o_proj": (query, self.hidden_size),
            "gate_proj": (self.hidden_size, self.intermediate_size),
            "up_proj": (self.hidden_size, self.intermediate_size),
            "down_proj": (self.intermediate_size, self.hidden_size),
        }
        return sizes[module]


def adapted_modules(model: ModelShape, adapter: AdapterConfig) -> Iterator[tuple[int, str]]:
    """Every adapted linear as (layer, module), in the order of the forward pass."""
    for layer in range(model.layers):
        possible = LAST_LAYER_MODULES if layer == model.layers - 1 else MODULES
        yield from ((layer, module) for module in possible if module in adapter.target_modules)


def lora_names(layer: int, module: str) -> tuple[str, str]:
    """The names of a linear's A and B."""
    block = "self_attn" if module in MODULES[:4] else "mlp"
    prefix = f"layers.{layer}.{block}.{module}"
    return f"{prefix}.lora_A.weight", f"{prefix}.lora_B.weight"


def tensor_shapes(model: ModelShape, adapter: AdapterConfig) -> dict[str, Shape]:
    """Every tensor: embeddings [n, hidden], for each adapted linear A [r, in] and B [out, r], and fusion weights."""
    shapes: dict[str, Shape] = {EMBEDDINGS: (adapter.lookahead_tokens, model.hidden_size)}
    for layer, module in adapted_modules(model, adapter):
        name_a, name_b = lora_names(layer, module)
        fan_in, fan_out = model.linear(module)
        shapes |= {name_a: (adapter.rank, fan_in), name_b: (fan_out, adapter.rank)}
    return shapes | {FUSION: (model.layers, model.kv_heads, len(FUSION_COMPONENTS))}


def parameter_count(model: ModelShape, adapter: AdapterConfig) -> int:
    """Trainable numbers of an adapter; the fusion weights are calibrated, not trained, and not counted."""
    return sum(math.prod(shape) for name, shape in tensor_shapes(model, adapter).items() if name != FUSION)


def _size(config: Mapping[str, Any], field: str, default: int | None = None) -> int:
    value = config.get(field)
    value = default if value is None else value
    if type(value) is not int or value < 1:
        raise AdapterMismatch(f"{field}: {value!r} in the model's config.json is not a positive integer")
    return value
