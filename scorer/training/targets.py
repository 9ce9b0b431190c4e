"""What each step reads of a sample: its prompt's K/V and its ground truth, computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from scorer.training.frozen_model import Prompt
from scorer.training.ground_truth import GroundTruth, ground_truth
from scorer.training.rows_forward import LookaheadModel

# the range of float32, as mass on one of many tokens is small; its rounding is 0.2 %
TRUTH_DTYPE = torch.bfloat16


@dataclass(frozen=True)
class Sample:
    """A prompt [T] and a response [n_out] as ids, with the ground truth in TRUTH_DTYPE on the CPU."""

    ids: torch.Tensor
    response_ids: torch.Tensor
    truth: GroundTruth


class Samples:
    """Samples in order. Prompt K/V that do not fit into `cache_bytes` are computed again at each use."""

    def __init__(self, model: LookaheadModel, cache_bytes: int) -> None:
        self._model = model
        self._free_bytes = cache_bytes
        self._samples: list[Sample] = []
        self._kept: dict[int, Prompt] = {}

    @classmethod
    def make(
        cls,
        model: LookaheadModel,
        prompts: Sequence[torch.Tensor],
        responses: Sequence[torch.Tensor],
        cache_bytes: int = 1 << 30,
        on_done: Callable[[int], None] = lambda count: None,
    ) -> Samples:
        """Of prompts [T] and the model's responses [n_out]. Raises ValueError when a response is empty."""
        samples = cls(model, cache_bytes)
        for ids, response_ids in zip(prompts, responses, strict=True):
            samples._add(ids, response_ids)
            on_done(1)
        return samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def prompt(self, index: int) -> Prompt:
        """The prefilled prompt, on the model's device."""
        kept = self._kept.get(index)
        ids = self._samples[index].ids
        return self._model.prefill(ids) if kept is None else _moved(kept, ids.device)

    def truth(self, index: int) -> GroundTruth:
        """The ground truth [L, Hq, T] in float32, on the model's device."""
        sample = self._samples[index]
        return _converted(sample.truth, sample.ids.device, torch.float32)

    @property
    def kept_prompts(self) -> int:
        """How many prompts' K/V fit."""
        return len(self._kept)

    def _add(self, ids: torch.Tensor, response_ids: torch.Tensor) -> None:
        prompt = self._model.prefill(ids)
        truth = ground_truth(self._model.frozen, prompt, response_ids)
        # the first that fit stay: with one use per epoch, replacing the oldest would never hit
        size_bytes = sum(tensor.nbytes for tensor in (*prompt.keys, *prompt.values))
        if size_bytes <= self._free_bytes:
            self._free_bytes -= size_bytes
            self._kept[len(self._samples)] = _moved(prompt, torch.device("cpu"))
        self._samples.append(Sample(ids, response_ids, _converted(truth, torch.device("cpu"), TRUTH_DTYPE)))


def _moved(prompt: Prompt, device: torch.device) -> Prompt:
    keys, values = (tuple(tensor.to(device) for tensor in part) for part in (prompt.keys, prompt.values))
    return Prompt(prompt.ids, keys, values)


def _converted(truth: GroundTruth, device: torch.device, dtype: torch.dtype) -> GroundTruth:
    return GroundTruth(truth.mean.to(device, dtype), truth.max.to(device, dtype))
