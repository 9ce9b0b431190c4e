"""Adapters for tests: the shipped one where there is one, else random ones whose every part matters."""

from pathlib import Path

import torch

from scorer.adapters.config import AdapterConfig
from scorer.adapters.fingerprint import model_fingerprint, read_config
from scorer.adapters.folder import read_folder, save_folder
from scorer.adapters.manifest import Files, Manifest, model_identity
from scorer.adapters.shapes import EMBEDDINGS, FUSION, ModelShape, tensor_shapes
from scorer.adapters.shipped import find_shipped
from scorer.adapters.weights import AdapterWeights, load_weights

# as large as the outputs that LoRA is added to, so that a forgotten one changes what is kept
B_STD = 0.05
# not a multiple of anything
LOOKAHEAD_TOKENS = 13


def adapter_for(model_path: Path, folder: Path) -> Path:
    """The folder of the shipped adapter for this model; without one, of a random one that is made in `folder`."""
    return find_shipped(model_fingerprint(read_config(model_path))) or random_adapter(model_path, folder)


def random_adapter(model_path: Path, folder: Path, poison: str = "") -> Path:
    """Save an adapter with LoRA that is not zero and fusion weights that differ by head; `poison` gets a NaN."""
    model_config, generator = read_config(model_path), torch.Generator().manual_seed(0)
    config = AdapterConfig(lookahead_tokens=LOOKAHEAD_TOKENS, rank=4, alpha=8)
    model = ModelShape.from_config(model_config)
    tensors = {}
    for name, shape in tensor_shapes(model, config).items():
        std = 0.1 if name == EMBEDDINGS else B_STD if ".lora_B." in name else shape[1] ** -0.5
        tensors[name] = torch.randn(shape, generator=generator) * std
    tensors[FUSION] = (3 * tensors[FUSION]).softmax(-1)
    if poison:
        tensors[poison].view(-1)[0] = torch.nan
    contents = AdapterWeights.from_tensors(tensors, model, config).to_files()
    manifest = Manifest(
        adapter="random",
        version=7,
        model=model_path.name,
        dtype="float32",
        files=Files.of(contents),
        **model_identity(model_config),
    )
    save_folder(folder, manifest, contents)
    return folder


def weights_of(folder: Path, model_path: Path) -> AdapterWeights:
    """The weights in `folder`, in float32."""
    return load_weights(read_folder(folder, read_config(model_path))).to(dtype=torch.float32)
