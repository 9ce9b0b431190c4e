"""The identity of a model's shape and position encoding, from its configuration alone."""

import hashlib
import json
from pathlib import Path
from typing import Any

# what an adapter's weights, or a scoring choice, depend on; names of Hugging Face's config.json
FINGERPRINT_FIELDS = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "rms_norm_eps",
    "tie_word_embeddings",
)


def read_config(model_path: Path) -> dict[str, Any]:
    """The model's `config.json`. Raises FileNotFoundError with the path when it is not there."""
    file = model_path / "config.json"
    if not file.is_file():
        raise FileNotFoundError(f"model_path: {file} does not exist; name a folder in Hugging Face layout")
    config: dict[str, Any] = json.loads(file.read_text())
    return config


def model_fingerprint(config: dict[str, Any]) -> str:
    """32 hex digits that differ when any of FINGERPRINT_FIELDS does."""
    known = {name: config.get(name) for name in FINGERPRINT_FIELDS}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]
