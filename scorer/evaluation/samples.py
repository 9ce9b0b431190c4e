"""Prompts to evaluate, from a file of ours or in LongBench's format."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from scorer.training.data.forms import answer_ids, prompt_text, token_ids
from scorer.training.data.longbench import read_longbench
from scorer.training.data.sample import Answer, BadLine, Sample, parse_sample, read_rows


class Tokenizer(Protocol):
    """What we need of a tokenizer of transformers."""

    def apply_chat_template(self, conversation: Any, *, tokenize: bool, add_generation_prompt: bool) -> str: ...
    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...
    def decode(self, token_ids: Any, *, skip_special_tokens: bool) -> str: ...


@dataclass(frozen=True)
class EvalSample:
    """A tokenized prompt; `key` are 16 hex digits of its text."""

    key: str
    family: str
    templated: bool
    ids: torch.Tensor  # [T] int64
    answer: Answer | None
    answer_ids: torch.Tensor | None  # [A] int64, the answer as one would write it behind the prompt

    @property
    def tokens(self) -> int:
        return len(self.ids)


def read_samples(file: Path, tokenizer: Tokenizer, longbench: bool) -> list[EvalSample]:
    """All of `file`, each prompt once. Raises BadLine naming line and field."""
    rows = read_longbench(file) if longbench else _samples(file)
    try:
        samples = {sample.key: sample for sample in (_tokenized(row, tokenizer) for row in rows)}
    except UnicodeDecodeError as error:
        raise BadLine(f"{file}: is not UTF-8: {error.reason} at byte {error.start}") from error
    return list(samples.values())


def digest(samples: Sequence[EvalSample]) -> str:
    """16 hex digits that differ when any prompt or answer does; the order does not matter."""
    answers = sorted((sample.key, sample.answer.values if sample.answer else ()) for sample in samples)
    return hashlib.sha256(repr(answers).encode()).hexdigest()[:16]


def _samples(file: Path) -> Iterator[Sample]:
    for number, row in read_rows(file):
        try:
            yield parse_sample(row)
        except ValueError as error:
            raise BadLine(f"{file}, line {number}: {error}") from error


def _tokenized(sample: Sample, tokenizer: Tokenizer) -> EvalSample:
    text, answer = prompt_text(sample, tokenizer), answer_ids(sample, tokenizer)
    return EvalSample(
        key=hashlib.sha256(text.encode()).hexdigest()[:16],
        family=sample.family,
        templated=sample.form == "templated",
        ids=torch.tensor(token_ids(sample, tokenizer), dtype=torch.int64),
        answer=sample.expected,
        answer_ids=torch.tensor(answer, dtype=torch.int64) if answer else None,
    )
