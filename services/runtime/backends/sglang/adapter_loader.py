"""Loads adapters in the scheduler process while it serves: on a thread of its own, beside those that score."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
import torch

from services.runtime.adapter_table import Loaded
from services.runtime.backends.sglang.adapter import LoadedAdapter, adapters_of, read_adapter
from services.runtime.backends.sglang.adapter_channel import CHANNEL_VARIABLE, POLL_SECONDS, answer, read_asked

logger = structlog.get_logger()


def start_loader(scheduler: Any) -> None:
    """Do what the front asks for, for as long as this process lives."""
    folder = os.environ.get(CHANNEL_VARIABLE)
    if folder:
        threading.Thread(target=_serve, args=(scheduler, Path(folder)), name="adapter-loader", daemon=True).start()


def load_wanted(scheduler: Any, folders: Mapping[str, str]) -> Loaded:
    """Hold these, by id, and drop others when all could be loaded. Steps take either all that was held, or all that is.

    No step waits for more than the exchange of one mapping for another.
    """
    adapters = adapters_of(scheduler)
    held, problems = dict(adapters.held), dict[str, str]()
    for id, folder in folders.items():
        if id not in held:
            try:
                held[id] = _load(scheduler, Path(folder))
            except Exception as error:
                logger.exception("adapter not loaded", adapter=id, folder=folder)
                problems[id] = str(error)
    if not problems:
        held = {id: held[id] for id in folders}
    with adapters.in_step:
        before, adapters.held = adapters.held, held
    _wait_for_steps(scheduler)
    # only now may the memory of those that were dropped be used for others
    del before
    return Loaded(frozenset(held), problems)


def _serve(scheduler: Any, folder: Path) -> None:
    done = 0
    while True:
        asked = read_asked(folder)
        if asked.number > done:
            answer(folder, asked, load_wanted(scheduler, asked.folders or {}))
            done = asked.number
        time.sleep(POLL_SECONDS)


def _load(scheduler: Any, folder: Path) -> LoadedAdapter:
    with _stream_of_its_own(scheduler):
        return read_adapter(scheduler, folder)


@contextmanager
def _stream_of_its_own(scheduler: Any) -> Iterator[None]:
    """On CUDA the copies to the device neither wait for steps nor make them wait, and are done at the end."""
    runner = scheduler.tp_worker.model_runner
    if torch.device(runner.device).type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device=runner.gpu_id)
    with torch.cuda.device(runner.gpu_id), torch.cuda.stream(stream):
        yield
        stream.synchronize()


def _wait_for_steps(scheduler: Any) -> None:
    runner = scheduler.tp_worker.model_runner
    if torch.device(runner.device).type == "cuda":
        torch.cuda.synchronize(runner.gpu_id)
