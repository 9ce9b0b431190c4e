"""An adapter's tensors in memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import safetensors.torch
import torch

from scorer.adapters.bundle import Bundle
from scorer.adapters.config import CONFIG_FILE, AdapterConfig
from scorer.adapters.errors import AdapterInvalid
from scorer.adapters.header import header_bytes, read_header
from scorer.adapters.manifest import WEIGHTS_FILE
from scorer.adapters.shapes import EMBEDDINGS, FUSION, ModelShape, adapted_modules, lora_names, tensor_shapes


@dataclass(frozen=True)
class Lora:
    """The factors of one linear's delta, scale * B A."""

    a: torch.Tensor  # [r, in]
    b: torch.Tensor  # [out, r]


@dataclass(frozen=True)
class AdapterWeights:
    """`layers[i]` holds the adapted linears of layer i by module name."""

    config: AdapterConfig
    embeddings: torch.Tensor  # [n, hidden]
    layers: tuple[Mapping[str, Lora], ...]
    fusion: torch.Tensor  # [L, Hkv, components] of the `fused` policy; each head's sum to 1

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, torch.Tensor], model: ModelShape, config: AdapterConfig
    ) -> AdapterWeights:
        """Of tensors by name. Raises AdapterInvalid naming one that is missing, not expected, or wrongly shaped."""
        expected = tensor_shapes(model, config)
        for name in sorted(expected.keys() | tensors.keys()):
            found = tuple(tensors[name].shape) if name in tensors else None
            if found != expected.get(name):
                raise AdapterInvalid(f"{name}: has shape {found}, the model needs {expected.get(name)}")
        layers: list[dict[str, Lora]] = [{} for _ in range(model.layers)]
        for layer, module in adapted_modules(model, config):
            name_a, name_b = lora_names(layer, module)
            layers[layer][module] = Lora(tensors[name_a], tensors[name_b])
        return cls(config, tensors[EMBEDDINGS], tuple(layers), tensors[FUSION])

    @classmethod
    def random(
        cls, model: ModelShape, config: AdapterConfig, embedding_std: float, generator: torch.Generator
    ) -> AdapterWeights:
        """Untrained, float32, on the generator's device: embeddings and A are normal, B is 0, so LoRA does nothing.

        `embedding_std` is that of the model's own embedding table; A has the variance 1 / fan_in. Every component of
        the fusion weighs the same.
        """
        tensors = {}
        for name, shape in tensor_shapes(model, config).items():
            if name == FUSION:
                tensors[name] = torch.full(shape, 1 / shape[-1], device=generator.device)
                continue
            std = embedding_std if name == EMBEDDINGS else 0.0 if ".lora_B." in name else shape[1] ** -0.5
            tensors[name] = torch.randn(shape, generator=generator, device=generator.device) * std
        return cls.from_tensors(tensors, model, config)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Every tensor by its name in the file."""
        return self.trained() | {FUSION: self.fusion}

    def trained(self) -> dict[str, torch.Tensor]:
        """The tensors that gradients reach: all but the fusion weights."""
        named = {EMBEDDINGS: self.embeddings}
        for index, layer in enumerate(self.layers):
            for module, lora in layer.items():
                name_a, name_b = lora_names(index, module)
                named |= {name_a: lora.a, name_b: lora.b}
        return named

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> AdapterWeights:
        """The same weights elsewhere, or in another dtype."""
        return self._map(lambda tensor: tensor.to(device=device, dtype=dtype))

    def trainable(self) -> AdapterWeights:
        """A copy of its own whose `trained()` tensors ask for gradients."""
        copied = self._map(lambda tensor: tensor.detach().clone())
        for tensor in copied.trained().values():
            tensor.requires_grad_()
        return copied

    @property
    def parameter_count(self) -> int:
        """Trainable numbers."""
        return sum(tensor.numel() for tensor in self.trained().values())

    def with_fusion(self, weights: torch.Tensor) -> AdapterWeights:
        """The same adapter with other fusion weights [L, Hkv, components]."""
        return replace(self, fusion=weights)

    def to_files(self) -> dict[str, bytes]:
        """Both files of the adapter that its manifest describes, by name."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors().items()}
        return {CONFIG_FILE: self.config.to_json(), WEIGHTS_FILE: safetensors.torch.save(tensors)}

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> AdapterWeights:
        layers = tuple({name: Lora(change(it.a), change(it.b)) for name, it in layer.items()} for layer in self.layers)
        return AdapterWeights(self.config, change(self.embeddings), layers, change(self.fusion))


def load_weights(bundle: Bundle) -> AdapterWeights:
    """The weights of a checked adapter, on the CPU. Raises AdapterInvalid naming a tensor with NaN or infinity."""
    tensors = dict(_copies(bundle.tensors))
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise AdapterInvalid(f"{name}: holds values that are not finite")
    return AdapterWeights.from_tensors(tensors, bundle.model, bundle.config)


def _copies(content: bytes) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor of a safetensors file.

    `safetensors.torch.load` has Python's lock while it copies; a scheduler that serves meanwhile would wait for it.
    """
    data = (ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value or 0) + header_bytes(content, len(content))
    for name, entry in read_header(content).items():
        tensor = torch.empty(entry.shape, dtype=getattr(torch, entry.dtype))
        ctypes.memmove(tensor.data_ptr(), data + entry.start, entry.end - entry.start)
        yield name, tensor
