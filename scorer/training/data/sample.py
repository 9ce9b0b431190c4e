"""One prompt with what is known about it, as a line of JSON."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

Split = Literal["train", "held_out", "user"]
Form = Literal["templated", "raw", "cut"]
Needs = Literal["all", "any"]
ROLES = ("system", "user", "assistant", "tool", "developer")
LISTED = {"split": get_args(Split), "form": get_args(Form), "needs": get_args(Needs)}


class BadLine(ValueError):
    """A line that is no sample. The message names file, line and field."""


@dataclass(frozen=True)
class Answer:
    """The values that an answer has to contain: all of them, or any one."""

    values: tuple[str, ...]
    needs: Needs = "all"

    @property
    def text(self) -> str:
        """The answer as one would write it, for likelihoods: all values, or the first of the alternatives."""
        return ", ".join(self.values) if self.needs == "all" else self.values[0]


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True)
class Sample:
    """A prompt as the model reads it, or the chat that a template turns into one: exactly one of the two is set."""

    family: str
    split: Split
    source: str
    form: Form
    seed: int
    prompt: str | None = None
    messages: tuple[Message, ...] = ()
    expected: Answer | None = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (not self.messages):
            raise ValueError("prompt, messages: exactly one of the two must be set")


def to_line(sample: Sample) -> str:
    """One line of JSON without its end; fields that are not set are left out."""
    row: dict[str, Any] = {name: getattr(sample, name) for name in ("family", "split", "source", "form", "seed")}
    if sample.prompt is not None:
        row["prompt"] = sample.prompt
    else:
        row["messages"] = [{"role": turn.role, "content": turn.content} for turn in sample.messages]
    if sample.expected:
        row["expected"] = {"values": list(sample.expected.values), "needs": sample.expected.needs}
    return json.dumps(row, ensure_ascii=False)


def write_samples(file: Path, samples: Iterable[Sample]) -> None:
    """Write all of `samples` or, when interrupted, leave what was there before."""
    half_made = file.with_name(file.name + ".tmp")
    try:
        with half_made.open("w", encoding="utf-8", newline="\n") as lines:
            lines.writelines(to_line(sample) + "\n" for sample in samples)
        half_made.replace(file)
    finally:
        half_made.unlink(missing_ok=True)


def parse_sample(row: dict[str, Any]) -> Sample:
    """The sample in `row`; of a user's line only `prompt` or `messages` is needed. Raises ValueError with the field."""
    messages = tuple(_message(i, turn) for i, turn in enumerate(_typed(row, "messages", list, [])))
    prompt = _typed(row, "prompt", str, None)
    if not (messages or prompt):
        raise ValueError("prompt: missing or empty, and so is messages; one of the two is needed")
    return Sample(
        family=_typed(row, "family", str, "user"),
        split=_typed(row, "split", str, "user"),
        source=_typed(row, "source", str, "user"),
        form=_typed(row, "form", str, "templated" if messages else "raw"),
        seed=_typed(row, "seed", int, 0),
        prompt=prompt,
        messages=messages,
        expected=_answer(row),
    )


def _answer(row: dict[str, Any]) -> Answer | None:
    expected = _typed(row, "expected", dict, None)
    if expected is None:
        return None
    values = _typed(expected, "values", list, [])
    if not values or not all(isinstance(value, str) for value in values):
        raise ValueError("expected.values: must be a list of at least one text")
    return Answer(tuple(values), _typed(expected, "needs", str, "all"))


def _message(i: int, turn: Any) -> Message:
    if not isinstance(turn, dict):
        raise ValueError(f"messages[{i}]: must be an object with role and content")
    if turn.get("role") not in ROLES:
        raise ValueError(f"messages[{i}].role: must be one of {', '.join(ROLES)}, got {turn.get('role')!r}")
    if not isinstance(turn.get("content"), str):
        raise ValueError(f"messages[{i}].content: must be a text")
    return Message(turn["role"], turn["content"])


def _typed(row: dict[str, Any], field: str, kind: type, default: Any) -> Any:
    """`row[field]`, which must be a `kind`, or `default` where it is missing or null."""
    value = row.get(field)
    if value is None:
        return default
    # JSON's true would pass as an integer
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{field}: must be of type {kind.__name__}, got {type(value).__name__}")
    if value not in (allowed := LISTED.get(field, (value,))):
        raise ValueError(f"{field}: must be one of {', '.join(allowed)}, got {value!r}")
    return value


def read_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line that is not blank. Raises BadLine."""
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise BadLine(f"{file}, line {number}: not JSON: {error.msg} at column {error.colno}") from error
            if not isinstance(row, dict):
                raise BadLine(f"{file}, line {number}: must be a JSON object")
            yield number, row


def read_samples(file: Path) -> Iterator[Sample]:
    """The samples of a file of ours, or of a user's prompts or chats. Raises BadLine."""
    for number, row in read_rows(file):
        try:
            yield parse_sample(row)
        except ValueError as error:
            raise BadLine(f"{file}, line {number}: {error}") from error
