"""How the front tells SGLang's scheduler process which adapters to hold, and hears what it holds: a file each way.

SGLang has no message for it, and its pipes are not ours. A file is replaced whole, so a reader sees all of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.runtime.adapter_table import Loaded

# the folder of both files, for the scheduler process
CHANNEL_VARIABLE = "LOOKAHEADKV_ADAPTER_CHANNEL"
POLL_SECONDS = 0.05
ANSWER_SECONDS = 120.0
ASKED, ANSWERED = "asked.json", "answered.json"


@dataclass(frozen=True)
class Asked:
    """The folder of each adapter that is wanted, by id. A later request has a higher `number`."""

    number: int = 0
    folders: Mapping[str, str] | None = None


class AdapterChannel:
    """The front's end; one request at a time."""

    def __init__(self, folder: Path, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._folder = folder
        self._answer_seconds = answer_seconds
        self._number = 0
        self._last = Loaded()

    async def ask(self, folders: Mapping[str, str]) -> Loaded:
        """What the scheduler holds once it has done what it could; what it held before when it does not answer."""
        self._number += 1
        try:
            _write(self._folder / ASKED, {"number": self._number, "folders": dict(folders)})
        except OSError as error:
            return self._unanswered(folders, f"the engine cannot be asked in {self._folder}: {error.strerror}")
        deadline = time.monotonic() + self._answer_seconds
        while time.monotonic() < deadline:
            answer = _read(self._folder / ANSWERED)
            if answer and answer["number"] == self._number:
                self._last = Loaded(frozenset(answer["held"]), answer["problems"])
                return self._last
            await asyncio.sleep(POLL_SECONDS)
        return self._unanswered(folders, f"the engine did not answer within {self._answer_seconds:g} s")

    def _unanswered(self, folders: Mapping[str, str], why: str) -> Loaded:
        return Loaded(self._last.held, {id: why for id in folders if id not in self._last.held})


def read_asked(folder: Path) -> Asked:
    """What the front asked for last; number 0 when it never did."""
    return Asked(**(_read(folder / ASKED) or {}))


def answer(folder: Path, asked: Asked, loaded: Loaded) -> None:
    """Tell the front what is held after a request."""
    _write(
        folder / ANSWERED,
        {"number": asked.number, "held": sorted(loaded.held), "problems": dict(loaded.problems)},
    )


def _write(file: Path, content: Mapping[str, Any]) -> None:
    half_made = file.with_suffix(".tmp")
    half_made.write_text(json.dumps(content))
    os.replace(half_made, file)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    return found
