"""Tiny random models of the families that SmolLM2 is not one of, as folders that SGLang can serve."""

import shutil
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, MistralConfig, PretrainedConfig, Qwen2Config, Qwen3Config

SIZES = {
    "vocab_size": 49152,  # of the tokenizer that is copied
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    # five times the usual, so that attention is far from uniform
    "initializer_range": 0.1,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CONFIGS = {
    # heads that are not a division of the hidden size, no biases
    "mistral": lambda: MistralConfig(**SIZES, sliding_window=None, head_dim=32),
    # biases on q, k and v
    "qwen2": lambda: Qwen2Config(**SIZES),
    # norms on q and k
    "qwen3": lambda: Qwen3Config(**SIZES, head_dim=24, tie_word_embeddings=True),
}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def make_model(family: str, tokenizer_from: Path, folder: Path) -> Path:
    """Save a model of `family` with random weights, the same each time, in float32."""
    torch.manual_seed(0)
    config: PretrainedConfig = CONFIGS[family]()
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    # biases and norms start at zeros and ones, where a forgotten one would not show
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (tokenizer_from / name).exists():
            shutil.copy(tokenizer_from / name, folder / name)
    return folder
