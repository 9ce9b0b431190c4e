"""What each step reads of a sample: ground truth and votes, computed once and kept in a folder, and prompt K/V.

Runs with other objectives share the folder, and a run that was stopped goes on with what is there. K/V are ten times
as large and one prefill away, so they stay in main memory. L, Hq, Hkv, T as in `frozen_model.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from scorer.training.frozen_model import Prompt
from scorer.training.ground_truth import GroundTruth, ground_truth
from scorer.training.responses import greedy_responses
from scorer.training.rows_forward import LookaheadModel, by_kv_head

# the range of float32, as mass on one of many tokens is small; its rounding is 0.2 %
MASS_DTYPE = torch.bfloat16
BATCH_PROMPTS = 8
IDENTITY_FILE = "identity.json"


class OtherSamples(ValueError):
    """The folder holds samples that were prepared otherwise. The message names the field."""


@dataclass(frozen=True)
class TrainingPrompt:
    """A prompt [T], and a reference answer [n] where the data have one, as ids."""

    ids: torch.Tensor
    reference: torch.Tensor | None = None


@dataclass(frozen=True)
class Recipe:
    """How samples are prepared. `identity` is all that must be the same to use a folder again."""

    max_response_tokens: int
    window_tokens: int
    cache_bytes: int  # main memory for prompt K/V; those that do not fit are prefilled again at each use
    identity: Mapping[str, Any]


@dataclass(frozen=True)
class Votes:
    """What the rows without weights see of a prompt, each [L, Hkv, T] float32: they are as constant as the prompt."""

    window: torch.Tensor
    first_token: torch.Tensor


class PreparedSamples:
    """The samples of a folder, in order. Tensors come to the model's device in float32, K/V in the model's dtype."""

    def __init__(self, model: LookaheadModel, folder: Path, count: int, cache_bytes: int) -> None:
        self._model = model
        self._folder = folder
        self._count = count
        self._free_bytes = cache_bytes
        self._kept: dict[int, Prompt] = {}

    def __len__(self) -> int:
        return self._count

    def ids(self, index: int) -> torch.Tensor:
        """Of the prompt, [T]."""
        return self._read(index, "ids")["ids"]

    def prompt(self, index: int) -> Prompt:
        """The prefilled prompt."""
        if index in self._kept:
            return self._kept[index].to(self._model.device)
        prompt = self._model.prefill(self.ids(index))
        # the first that fit stay: with one use per epoch, replacing the oldest would never hit
        if prompt.kv_bytes <= self._free_bytes:
            self._free_bytes -= prompt.kv_bytes
            self._kept[index] = prompt.to(torch.device("cpu"))
        return prompt

    @property
    def kept_prompts(self) -> int:
        """How many prompts' K/V are in memory."""
        return len(self._kept)

    def truth(self, index: int, with_reference: bool = False) -> GroundTruth:
        """Of the model's own response, [L, Hq, T]; the maximum also over the reference answer's rows, if asked to."""
        found = self._read(index, "mean", "max", "reference_max")
        largest = found["max"].float()
        if with_reference and "reference_max" in found:
            largest = torch.maximum(largest, found["reference_max"].float())
        return GroundTruth(found["mean"].float(), largest)

    def votes(self, index: int) -> Votes:
        """Of the window and of the first token of the response."""
        found = self._read(index, "window", "first_token")
        return Votes(found["window"].float(), found["first_token"].float())

    def _read(self, index: int, *names: str) -> dict[str, torch.Tensor]:
        """Those of `names` that the sample has."""
        with safe_open(_file(self._folder, index), framework="pt", device=str(self._model.device)) as file:
            return {name: file.get_tensor(name) for name in names if name in file.keys()}


def prepare(
    model: LookaheadModel,
    prompts: Sequence[TrainingPrompt],
    folder: Path,
    recipe: Recipe,
    on_done: Callable[[int], None] = lambda count: None,
) -> PreparedSamples:
    """The samples of prompts, with the model's own greedy responses; those in `folder` are not computed again.

    `on_done` hears how many are ready. Raises OtherSamples when the folder holds samples of other prompts or settings.
    """
    _check_identity(folder, recipe.identity)
    for batch in _batches(prompts):
        missing = [index for index in batch if not _file(folder, index).exists()]
        if missing:
            # the whole batch, as its padding has a part in the responses' rounding
            ids = [prompts[index].ids.to(model.device) for index in batch]
            answered = greedy_responses(model.frozen, ids, recipe.max_response_tokens)
            for index, response in zip(batch, answered, strict=True):
                if index in missing:
                    tensors = _measure(model, prompts[index], response, recipe)
                    _save(_file(folder, index), tensors)
        on_done(len(batch))
    return PreparedSamples(model, folder, len(prompts), recipe.cache_bytes)


def _measure(
    model: LookaheadModel, sample: TrainingPrompt, response: torch.Tensor, recipe: Recipe
) -> dict[str, torch.Tensor]:
    prompt = model.prefill(sample.ids.to(model.device))
    truth = ground_truth(model.frozen, prompt, response)
    window = min(recipe.window_tokens, prompt.tokens)
    with torch.no_grad():
        seen = model.mass(prompt, window=window, first_token=int(response[0]))
    heads = prompt.keys[0].shape[1]
    masses = {
        "mean": truth.mean,
        "max": truth.max,
        "window": by_kv_head(seen["window"], heads),
        "first_token": by_kv_head(seen["first"], heads),
    }
    if sample.reference is not None and len(sample.reference):
        masses["reference_max"] = ground_truth(model.frozen, prompt, sample.reference.to(model.device)).max
    tensors = {name: mass.to(MASS_DTYPE) for name, mass in masses.items()}
    tensors |= {"ids": prompt.ids, "response_ids": response}
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def _batches(prompts: Sequence[TrainingPrompt]) -> Iterator[list[int]]:
    # neighbours in length share a batch, so that little is padding
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i].ids))
    yield from (order[start : start + BATCH_PROMPTS] for start in range(0, len(order), BATCH_PROMPTS))


def _check_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    file, wanted = folder / IDENTITY_FILE, json.loads(json.dumps(identity))
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        return
    found = json.loads(file.read_text(encoding="utf-8"))
    differing = [name for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)]
    if differing:
        each = (f"{name}: {wanted.get(name)!r}, prepared with {found.get(name)!r}" for name in differing)
        raise OtherSamples(f"{folder}: holds other samples; {'; '.join(each)}; choose another folder")


def _save(file: Path, tensors: dict[str, torch.Tensor]) -> None:
    half_made = file.with_suffix(".tmp")
    save_file(tensors, half_made)
    half_made.replace(file)


def _file(folder: Path, index: int) -> Path:
    return folder / f"{index:06d}.safetensors"
