"""An adapter whose bytes were checked against its manifest and its model, wherever they came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scorer.adapters.config import CONFIG_FILE, AdapterConfig
from scorer.adapters.header import check_tensors, read_header
from scorer.adapters.manifest import WEIGHTS_FILE, Manifest
from scorer.adapters.shapes import ModelShape, tensor_shapes
from scorer.adapters.weights_check import WeightsCheck


@dataclass(frozen=True)
class Bundle:
    """`tensors` are the bytes that were checked, so nothing can change between check and use."""

    manifest: Manifest
    config: AdapterConfig
    model: ModelShape
    tensors: bytes


def verify_bundle(manifest: Manifest, contents: Mapping[str, bytes], model_config: Mapping[str, Any]) -> Bundle:
    """The adapter for the model with this `config.json`; everything is checked but the numbers in the tensors.

    Raises AdapterMismatch for another model, AdapterDamaged for other bytes, AdapterInvalid for wrong tensors.
    """
    manifest.check_model(model_config)
    manifest.files.check(contents)
    config = AdapterConfig.from_json(contents[CONFIG_FILE])
    model = ModelShape.from_config(model_config)
    check_tensors(read_header(contents[WEIGHTS_FILE]), tensor_shapes(model, config), manifest.dtype)
    return Bundle(manifest, config, model, contents[WEIGHTS_FILE])


def verify_numbers(bundle: Bundle) -> None:
    """Raises AdapterInvalid naming a tensor with a number that is not finite."""
    check = check_of(bundle.manifest, bundle.config)
    check.feed(bundle.tensors)
    check.end()


def check_of(manifest: Manifest, config: AdapterConfig) -> WeightsCheck:
    """What the weights must pass. Raises AdapterMismatch for a kind of model that has no adapters."""
    model = ModelShape.from_config(manifest.model_config_fields)
    return WeightsCheck(manifest.files.weights.size_bytes, tensor_shapes(model, config), manifest.dtype)
