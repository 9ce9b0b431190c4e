"""Versions of an adapter for a soak: all fit one model, and no two have the same bytes."""

from pathlib import Path
from typing import Any

import torch

from scorer.adapters.config import AdapterConfig
from scorer.adapters.fingerprint import model_fingerprint, read_config
from scorer.adapters.folder import read_folder
from scorer.adapters.manifest import Files, Manifest, model_identity
from scorer.adapters.shapes import FUSION, ModelShape, tensor_shapes
from scorer.adapters.shipped import find_shipped
from scorer.adapters.store_values import AdapterId
from scorer.adapters.weights import AdapterWeights, load_weights
from scorer.cli.actions import Files as AdapterFiles
from services.soak.plan import ADAPTER

# of a version to the one before: more than a step of bfloat16
SCALE_STEP = 0.01
MAX_RANK = 1024
STD = 0.02


class Versions:
    """The shipped adapter of a model, scaled anew for each version; a random one where none is shipped."""

    def __init__(self, model_path: Path, seed: int) -> None:
        self._config = read_config(model_path)
        self._shape = ModelShape.from_config(self._config)
        self._generator = torch.Generator().manual_seed(seed)
        shipped = find_shipped(model_fingerprint(self._config))
        base = load_weights(read_folder(shipped, self._config)) if shipped else self._random(AdapterConfig())
        self._base = base.to(dtype=torch.bfloat16)
        self.adapter = AdapterId(model_path.name, ADAPTER)

    @property
    def size_bytes(self) -> int:
        """Of the weights of a version."""
        return sum(tensor.nbytes for tensor in self._base.tensors().values())

    def make(self, number: int) -> AdapterFiles:
        """The files of a version."""
        scale = 1 + SCALE_STEP * number
        return self._files(number, _scaled(self._base, scale, self._shape))

    def make_large(self, number: int, size_bytes: int) -> AdapterFiles:
        """A version with at least this many bytes of random weights, which is a matter of the rank of its LoRA.

        Raises ValueError when no rank gives so many.
        """
        return self._files(number, self._random(self._config_of(size_bytes)))

    def _config_of(self, size_bytes: int) -> AdapterConfig:
        for rank in range(1, MAX_RANK + 1):
            config = self._base.config.model_copy(update={"rank": rank})
            numbers = sum(torch.Size(shape).numel() for shape in tensor_shapes(self._shape, config).values())
            if numbers * self._base.embeddings.element_size() >= size_bytes:
                return config
        raise ValueError(
            f"--large-mib: {size_bytes / 2**20:g} is more than any adapter of this model has; ask for less"
        )

    def _random(self, config: AdapterConfig) -> AdapterWeights:
        weights = AdapterWeights.random(self._shape, config, STD, self._generator)
        noise: dict[str, Any] = {
            name: tensor if name == FUSION else tensor + STD * torch.randn(tensor.shape, generator=self._generator)
            for name, tensor in weights.tensors().items()
        }
        return AdapterWeights.from_tensors(noise, self._shape, config).to(dtype=torch.bfloat16)

    def _files(self, number: int, weights: AdapterWeights) -> AdapterFiles:
        contents = weights.to_files()
        manifest = Manifest(
            adapter=self.adapter.name,
            version=number,
            model=self.adapter.model,
            dtype="bfloat16",
            files=Files.of(contents),
            **model_identity(self._config),
        )
        return AdapterFiles(manifest, contents)


def _scaled(weights: AdapterWeights, scale: float, shape: ModelShape) -> AdapterWeights:
    """All but the fusion weights, whose sums are 1."""
    tensors = {name: tensor * scale for name, tensor in weights.trained().items()} | {FUSION: weights.fusion}
    return AdapterWeights.from_tensors(tensors, shape, weights.config)
