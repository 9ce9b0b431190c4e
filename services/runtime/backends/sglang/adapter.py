"""The adapter in the scheduler process: loaded once, beside the model that it was made for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
import torch
from sglang.srt.layers.quantization.unquant import UnquantizedLinearMethod

from scorer.adapters.bundle import Bundle
from scorer.adapters.fingerprint import read_config
from scorer.adapters.folder import read_folder
from scorer.adapters.shapes import ModelShape
from scorer.adapters.weights import AdapterWeights, load_weights
from services.runtime.backends.sglang.process import ADAPTER_VARIABLE

logger = structlog.get_logger()

_ATTRIBUTE = "_lookaheadkv_adapters"


@dataclass(frozen=True)
class LoadedAdapter:
    """An adapter on the model's device: embeddings in the model's dtype, LoRA and fusion weights as in its file."""

    name: str
    version: int
    model: ModelShape
    weights: AdapterWeights

    @classmethod
    def of(cls, bundle: Bundle, device: torch.device, dtype: torch.dtype) -> LoadedAdapter:
        """Of a checked adapter. Raises AdapterInvalid for numbers that are not finite."""
        weights = load_weights(bundle).to(device)
        weights = replace(weights, embeddings=weights.embeddings.to(dtype))
        return cls(bundle.manifest.adapter, bundle.manifest.version, bundle.model, weights)

    def policy_params(self, policy: str) -> Mapping[str, Any]:
        """The parameters of a policy that this adapter was calibrated with."""
        return self.weights.config.fusion.model_dump() if policy == "fused" else {}


@dataclass
class Adapters:
    """What scores from the next step on. A step takes `current` once, so replacing it in between disturbs nothing."""

    current: LoadedAdapter | None = None


def adapters_of(scheduler: Any) -> Adapters:
    """The adapters of this scheduler; empty until one is loaded."""
    adapters: Adapters | None = getattr(scheduler, _ATTRIBUTE, None)
    if adapters is None:
        adapters = Adapters()
        setattr(scheduler, _ATTRIBUTE, adapters)
    return adapters


def load_adapter(scheduler: Any) -> str:
    """Load the adapter that the parent process chose. Returns why that failed; empty if it did not, or if none was.

    Whatever is wrong, the model serves on without an adapter.
    """
    folder = os.environ.get(ADAPTER_VARIABLE)
    if not folder:
        return ""
    runner = scheduler.tp_worker.model_runner
    try:
        bundle = read_folder(Path(folder), read_config(Path(runner.model_config.model_path)))
        adapter = LoadedAdapter.of(bundle, torch.device(runner.device), runner.dtype)
        _check_linears(runner.model.model.layers, bundle.config.lookahead_tokens)
    except Exception as error:
        logger.exception("adapter not loaded", folder=folder)
        return f"it could not be loaded: {error}"
    adapters_of(scheduler).current = adapter
    return ""


def _check_linears(layers: Any, rows: int) -> None:
    """Raises ValueError where SGLang's linears would not show their inputs and outputs to hooks of ours."""
    for layer in layers:
        for linear in (layer.self_attn.qkv_proj, layer.self_attn.o_proj, layer.mlp.gate_up_proj, layer.mlp.down_proj):
            if not isinstance(linear.quant_method, UnquantizedLinearMethod):
                method = type(linear.quant_method).__name__
                raise ValueError(f"quant_method: {method} has not been tested with an adapter; serve plain weights")
        # the fused MLP of some GPUs calls no linear
        if layer.mlp.dual_gemm.max_tokens >= rows:
            raise ValueError(
                f"lookahead_tokens: {rows} is not above {layer.mlp.dual_gemm.max_tokens}, up to where SGLang fuses the "
                "MLP of this GPU; use an adapter with more"
            )
