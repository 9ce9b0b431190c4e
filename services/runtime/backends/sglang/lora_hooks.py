"""LoRA on some rows of a forward pass through SGLang's model; without the hooks the model is the base model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from typing import Any

import torch

from scorer.adapters.shapes import ModelShape
from scorer.adapters.weights import AdapterWeights, Lora
from scorer.kernels.lora_rows import lora_rows

# block of a layer, its linear in SGLang, and the linears of Hugging Face's model whose outputs that one joins
LINEARS = (
    ("self_attn", "qkv_proj", ("q_proj", "k_proj", "v_proj")),
    ("self_attn", "o_proj", ("o_proj",)),
    ("mlp", "gate_up_proj", ("gate_proj", "up_proj")),
    ("mlp", "down_proj", ("down_proj",)),
)
# columns of a joined output, and the LoRA that acts on them
Part = tuple[slice, Lora]


@contextmanager
def lora_on_rows(
    layers: Sequence[Any], model: ModelShape, adapter: AdapterWeights, rows: torch.Tensor
) -> Iterator[None]:
    """While this is open, the adapter's LoRA acts on `rows` [N] int64 of every forward pass through `layers`."""
    with ExitStack() as hooks:
        for layer, loras in zip(layers, adapter.layers, strict=True):
            for block, linear, names in LINEARS:
                parts = _parts(names, model, loras)
                if parts:
                    module = getattr(getattr(layer, block), linear)
                    handle = module.register_forward_hook(_hook(parts, rows, adapter.config.scale))
                    hooks.callback(handle.remove)
        yield


def _parts(names: Sequence[str], model: ModelShape, loras: Mapping[str, Lora]) -> list[Part]:
    ends = list(accumulate(model.linear(name)[1] for name in names))
    starts = [0, *ends[:-1]]
    return [
        (slice(start, end), loras[name]) for name, start, end in zip(names, starts, ends, strict=True) if name in loras
    ]


def _hook(parts: Sequence[Part], rows: torch.Tensor, scale: float) -> Callable[[Any, Any, Any], None]:
    def add(module: Any, inputs: tuple[torch.Tensor, ...], output: tuple[torch.Tensor, Any]) -> None:
        # a linear of SGLang returns its output and a bias that it left out
        for columns, lora in parts:
            lora_rows(output[0][:, columns], inputs[0], lora.a, lora.b, rows, scale)

    return add
