"""Results of single samples, as lines of JSON that a later run goes on with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from scorer.training.settings import problems

METRICS = ("retained_evictable", "retained_evictable_mean", "nll", "kl", "agreement", "accuracy", "nll_replayed")


class BadResults(ValueError):
    """A file that holds no results, or those of another run. The message says why."""


@dataclass(frozen=True)
class Result:
    """One sample with one method at one budget. A metric that was not measured is None."""

    sample: str  # 16 hex digits of the prompt
    family: str
    templated: bool
    prompt_tokens: int
    method: str
    budget: str
    kept_tokens: int  # per layer and KV head
    retained_evictable: float | None = None  # of the maximum over the response's rows
    retained_evictable_mean: float | None = None  # of their mean
    nll: float | None = None  # nats per token of the right answer; of full KV's own where none is known
    kl: float | None = None  # nats per token, full KV's distribution against this one's
    agreement: float | None = None  # share of positions whose likeliest token is full KV's
    accuracy: float | None = None  # only of samples that full KV answers rightly
    nll_replayed: float | None = None  # as `nll`, with the first token predicted after eviction as well

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.sample, self.method, self.budget)


RESULT = TypeAdapter(Result)


def read_results(file: Path) -> list[Result]:
    """All of `file`; a last line that an interrupt tore is left out. Raises BadResults naming line and field."""
    lines = file.read_text(encoding="utf-8").split("\n")
    # what stands behind the last line break was not finished
    return [_parsed(file, number, line) for number, line in enumerate(lines[:-1], start=1) if line.strip()]


def append_results(file: Path, results: Iterable[Result]) -> None:
    """All of `results` behind those in the file, after a torn line was cut off."""
    text = "".join(json.dumps(asdict(result)) + "\n" for result in results)
    with file.open("a+b") as handle:
        handle.seek(0)
        whole = handle.read().rfind(b"\n") + 1
        handle.truncate(whole)
        handle.write(text.encode())


def check_settings(file: Path, settings: Mapping[str, Any]) -> None:
    """Write what the results of `file` are made with beside it, or raise BadResults where that is something else."""
    beside = settings_file(file)
    wanted = json.loads(json.dumps(settings))
    if not file.exists() or not beside.exists():
        if file.exists() and file.stat().st_size:
            raise BadResults(f"{file}: has results and no {beside.name}; choose another file")
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        return
    found = json.loads(beside.read_text(encoding="utf-8"))
    other = [
        f"{name}: {found.get(name)} there, {value} asked" for name, value in wanted.items() if found.get(name) != value
    ]
    if other:
        raise BadResults(f"{file}: is of another run, choose another file or the same settings; {'; '.join(other)}")


def settings_file(file: Path) -> Path:
    """Where the settings of a file of results are."""
    return file.with_suffix(".settings.json")


def _parsed(file: Path, number: int, line: str) -> Result:
    try:
        return RESULT.validate_json(line, strict=True)
    except ValidationError as error:
        raise BadResults(f"{file}, line {number}: is no result: {problems(error)}") from error
