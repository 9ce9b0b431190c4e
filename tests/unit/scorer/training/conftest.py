"""Tiny random models of the four families, as transformers builds them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from services.runtime.backends.sglang.cpu import declare_vision_ops

# before the first import of a model class
declare_vision_ops()

from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from scorer.adapters.config import AdapterConfig
from scorer.adapters.shapes import ModelShape
from scorer.adapters.weights import AdapterWeights
from scorer.training.frozen_model import Prompt
from scorer.training.prepared import Recipe, TrainingPrompt
from scorer.training.rows_forward import LookaheadModel

PROMPT_TOKENS, LOOKAHEAD, WINDOW, FIRST = 40, 6, 8, 17
SIZES = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "attn_implementation": "eager",
    # five times the usual, so that attention is far from uniform
    "initializer_range": 0.1,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN_ROPE = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16}
CONFIGS = {
    "llama": lambda: LlamaConfig(**SIZES, tie_word_embeddings=True, rope_parameters=LLAMA3_ROPE),
    "llama with biases": lambda: LlamaConfig(**SIZES, attention_bias=True, mlp_bias=True),
    "mistral": lambda: MistralConfig(**SIZES, sliding_window=None, head_dim=32),
    "qwen2": lambda: Qwen2Config(**SIZES, rope_parameters=YARN_ROPE),
    "qwen3": lambda: Qwen3Config(**SIZES, head_dim=24, tie_word_embeddings=True),
}


@dataclass(frozen=True)
class Case:
    """A model in transformers and in ours, a prompt, and an adapter that was moved away from its start."""

    hf_model: Any
    model: LookaheadModel
    ids: torch.Tensor
    prompt: Prompt
    untrained: AdapterWeights
    adapter: AdapterWeights


def make_case(family: str) -> Case:
    torch.manual_seed(0)
    hf_model = AutoModelForCausalLM.from_config(CONFIGS[family](), dtype=torch.float32)
    # biases and norms start at zeros and ones, where a forgotten one would not show
    with torch.no_grad():
        for parameter in hf_model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model, ids = LookaheadModel(hf_model), torch.randint(0, 97, (PROMPT_TOKENS,))
    config = AdapterConfig(lookahead_tokens=LOOKAHEAD, rank=3, alpha=6)
    shape = ModelShape.from_config(hf_model.config.to_dict())
    untrained = AdapterWeights.random(shape, config, 0.1, torch.Generator().manual_seed(1))
    trained = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in untrained.tensors().items()}
    adapter = AdapterWeights.from_tensors(trained, shape, config)
    return Case(hf_model, model, ids, model.prefill(ids), untrained, adapter)


def random_prompts(lengths: Sequence[int], seed: int) -> list[TrainingPrompt]:
    """One a length, with a reference answer for every other."""
    generator = torch.Generator().manual_seed(seed)
    ids = [torch.randint(0, 97, (length,), generator=generator) for length in lengths]
    answers = [torch.randint(0, 97, (5,), generator=generator) for _ in lengths]
    return [
        TrainingPrompt(each, answer if i % 2 else None)
        for i, (each, answer) in enumerate(zip(ids, answers, strict=True))
    ]


def recipe(**changes: Any) -> Recipe:
    base: dict[str, Any] = {
        "max_response_tokens": 8,
        "window_tokens": 8,
        "cache_bytes": 1 << 30,
        "identity": {"prompts": "some"},
    }
    return Recipe(**(base | changes))


@pytest.fixture(scope="module", params=list(CONFIGS))
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(request.param)


@pytest.fixture(scope="module")
def llama() -> Case:
    return make_case("llama")
