"""One prefill for all presses: each compresses every layer's K/V as it would alone, and none changes the others'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from kvpress import BasePress

from scorer.evaluation.caches import Context, whole
from scorer.evaluation.forward import prefill
from scorer.evaluation.peers.pressed import Pressed
from scorer.evaluation.peers.presses import Case, make_press
from scorer.evaluation.samples import EvalSample
from scorer.training.frozen_model import FrozenModel

# per layer, keys and values [1, Hkv, K, D]
Layers = list[tuple[torch.Tensor, torch.Tensor]]


class Collector(BasePress):
    """A press that keeps everything, and what `presses` would have kept.

    That is the same as pressing alone: a press acts on a layer's cache after its attention, so a prefill does not
    depend on it.
    """

    def __init__(self, presses: Sequence[Any]) -> None:
        self.presses = presses
        self.kept: list[Layers] = [[] for _ in presses]

    def post_init_from_model(self, model: Any) -> None:
        for press in self.presses:
            press.post_init_from_model(model)

    def compress(
        self, module: Any, hidden_states: Any, keys: Any, values: Any, attentions: Any, kwargs: Any
    ) -> tuple[Any, Any]:
        """The whole keys and values [1, Hkv, T, D]; called by kvpress after each layer."""
        for press, layers in zip(self.presses, self.kept, strict=True):
            layers.append(press.compress(module, hidden_states, keys, values, attentions, kwargs))
        return keys, values


@torch.no_grad()
def press_sample(frozen: FrozenModel, sample: EvalSample, cases: Sequence[Case]) -> Pressed:
    """The sample's whole cache, and what each case keeps of it."""
    collector = Collector([make_press(case, sample.tokens) for case in cases])
    with collector(frozen.hf_model):
        prompt, first_logits = prefill(frozen, sample.ids)
    kept = [Context([keys[0] for keys, _ in layers], [values[0] for _, values in layers]) for layers in collector.kept]
    return Pressed(sample, first_logits, whole(prompt), dict(zip(cases, kept, strict=True)))
