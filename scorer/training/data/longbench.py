"""Evaluation samples from files in LongBench's format, which a user brings along."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scorer.training.data.sample import Answer, BadLine, Message, Sample, read_rows

# few-shot and code tasks, which LongBench runs without a chat template
RAW = frozenset({"trec", "triviaqa", "samsum", "lsht", "lcc", "repobench-p"})
# for data sets without a question
SUMMARY = "Summarise the text above."


def read_longbench(file: Path) -> Iterator[Sample]:
    """The samples of a file of lines with `input`, `context`, `answers` and perhaps `dataset`. Raises BadLine."""
    for number, row in read_rows(file):
        try:
            yield _sample(row, row.get("dataset") or file.stem, number)
        except ValueError as error:
            raise BadLine(f"{file}, line {number}: {error}") from error


def _sample(row: dict[str, Any], dataset: Any, number: int) -> Sample:
    if not isinstance(dataset, str):
        raise ValueError("dataset: must be a text")
    context, question = _text(row, "context"), _text(row, "input")
    answers = row.get("answers")
    if not isinstance(answers, list) or not answers or not all(isinstance(answer, str) for answer in answers):
        raise ValueError("answers: must be a list of at least one text")
    expected = Answer(tuple(answers), "any")
    # the files of the version with even lengths are named after it
    if dataset.removesuffix("_e") in RAW:
        prompt = f"{context}\n{question}".rstrip("\n")
        return Sample(dataset, "held_out", "longbench", "raw", number, prompt=prompt, expected=expected)
    chat = (Message("user", f"{context}\n\n{question or SUMMARY}"),)
    return Sample(dataset, "held_out", "longbench", "templated", number, messages=chat, expected=expected)


def _text(row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise ValueError(f"{field}: must be a text" if field in row else f"{field}: missing")
    return value
