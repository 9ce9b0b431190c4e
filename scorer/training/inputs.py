"""A run's prompts, from a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from scorer.training.data.forms import answer_ids, token_ids
from scorer.training.data.sample import BadLine, parse_sample, read_rows
from scorer.training.prepared import TrainingPrompt

if TYPE_CHECKING:
    from scorer.training.data.forms import ChatTokenizer


class CannotTrain(ValueError):
    """Data and names that no run can be made of. The message says why."""


@dataclass(frozen=True)
class Prompts:
    """On the CPU. `too_long` were left out."""

    training: list[TrainingPrompt]
    validation: list[TrainingPrompt]
    too_long: int

    @property
    def digest(self) -> str:
        """16 hex digits that differ when any prompt, reference answer or the split does."""
        parts = [[_plain(prompt) for prompt in part] for part in (self.training, self.validation)]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def read_prompts(file: Path, tokenizer: ChatTokenizer, max_tokens: int, validation_ratio: float, seed: int) -> Prompts:
    """The prompts of a JSONL file, split by `seed`. Raises BadLine naming line and field, and CannotTrain."""
    try:
        every = [_prompt(file, number, row, tokenizer) for number, row in read_rows(file)]
    except UnicodeDecodeError as error:
        raise BadLine(f"{file}: is not UTF-8: {error.reason} at byte {error.start}") from error
    fitting = [prompt for prompt in every if len(prompt.ids) <= max_tokens]
    held_out = round(len(fitting) * validation_ratio)
    if validation_ratio and len(fitting) > 1:
        held_out = min(max(1, held_out), len(fitting) - 1)
    order: list[int] = torch.randperm(len(fitting), generator=torch.Generator().manual_seed(seed)).tolist()
    validation, training = order[:held_out], order[held_out:]
    if not training:
        raise CannotTrain(f"{file}: of {len(every)} prompts none has at most {max_tokens} tokens")
    return Prompts(_chosen(fitting, training), _chosen(fitting, validation), len(every) - len(fitting))


def _chosen(prompts: Sequence[TrainingPrompt], indices: Sequence[int]) -> list[TrainingPrompt]:
    # in the order of the file
    return [prompts[index] for index in sorted(indices)]


def _plain(prompt: TrainingPrompt) -> tuple[list[int], list[int]]:
    reference = [] if prompt.reference is None else prompt.reference.tolist()
    return prompt.ids.tolist(), reference


def _prompt(file: Path, number: int, row: dict[str, Any], tokenizer: ChatTokenizer) -> TrainingPrompt:
    # transformers asks for it as soon as there is a template
    from jinja2 import TemplateError

    try:
        sample = parse_sample(row)
        ids, reference = token_ids(sample, tokenizer), answer_ids(sample, tokenizer)
    except TemplateError as error:
        raise BadLine(f"{file}, line {number}: messages: the chat template refuses them: {error}") from error
    except ValueError as error:
        raise BadLine(f"{file}, line {number}: {error}") from error
    if not ids:
        raise BadLine(f"{file}, line {number}: prompt: has no tokens")
    return TrainingPrompt(torch.tensor(ids), torch.tensor(reference) if reference else None)
