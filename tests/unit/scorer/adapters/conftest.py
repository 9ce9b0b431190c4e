"""A small adapter, complete in every respect."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from scorer.adapters.config import AdapterConfig
from scorer.adapters.folder import save_folder
from scorer.adapters.manifest import Files, Manifest, model_identity
from scorer.adapters.shapes import ModelShape
from scorer.adapters.weights import AdapterWeights

MODEL_CONFIG = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 50,
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-05,
}


@dataclass(frozen=True)
class Published:
    """An adapter, and how it is written down."""

    model_config: dict[str, Any]
    weights: AdapterWeights
    contents: dict[str, bytes]
    manifest: Manifest


def describe(contents: dict[str, bytes], **changes: Any) -> Manifest:
    """A manifest of these files."""
    fields = {"adapter": "tiny", "version": 1, "model": "us/tiny", "dtype": "float32", "training_tag": "none"}
    return Manifest(**{**fields, **model_identity(MODEL_CONFIG), "files": Files.of(contents), **changes})


@pytest.fixture
def published() -> Published:
    generator = torch.Generator().manual_seed(0)
    config = AdapterConfig(lookahead_tokens=4, rank=2, alpha=8)
    weights = AdapterWeights.random(ModelShape.from_config(MODEL_CONFIG), config, 0.02, generator)
    contents = weights.to_files()
    return Published(MODEL_CONFIG, weights, contents, describe(contents, scores={"kl": 0.07}))


@pytest.fixture
def folder(published: Published, tmp_path: Path) -> Path:
    save_folder(tmp_path / "1", published.manifest, published.contents)
    return tmp_path / "1"
