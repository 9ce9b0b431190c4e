"""The adapter in the scheduler process: loaded once, beside the model that it was made for."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    """What scores from the next step on: the adapter of the start, and those of the registry by id.

    `held` is exchanged whole, never changed. A step has `in_step` from its choice of adapters to the end of its work on
    them.
    """

    current: LoadedAdapter | None = None
    held: Mapping[str, LoadedAdapter] = field(default_factory=dict)
    in_step: threading.Lock = field(default_factory=threading.Lock)

    def find(self, id: str) -> LoadedAdapter | None:
        """The adapter of a plan; an empty id is that of the start."""
        return self.held.get(id) if id else self.current


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
    try:
        adapters_of(scheduler).current = read_adapter(scheduler, Path(folder))
    except Exception as error:
        logger.exception("adapter not loaded", folder=folder)
        return f"it could not be loaded: {error}"
    return ""


def read_adapter(scheduler: Any, folder: Path) -> LoadedAdapter:
    """The adapter in a folder, checked and on the model's device. Raises AdapterError, or ValueError."""
    runner = scheduler.tp_worker.model_runner
    bundle = read_folder(folder, read_config(Path(runner.model_config.model_path)))
    adapter = LoadedAdapter.of(bundle, torch.device(runner.device), runner.dtype)
    _check_linears(runner.model.model.layers, bundle.config.lookahead_tokens)
    return adapter


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
