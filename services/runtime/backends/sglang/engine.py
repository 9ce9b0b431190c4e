"""Starting `sglang.Engine` so that it serves with our plugin, or fails with a sentence."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sglang.srt.entrypoints.engine import Engine

from services.runtime.backends.base import EngineFailed
from services.runtime.backends.sglang.adapter_channel import CHANNEL_VARIABLE
from services.runtime.backends.sglang.process import (
    ADAPTER_VARIABLE,
    FAILURE_FILE_VARIABLE,
    START_FILE_VARIABLE,
    StartReport,
    read_start_report,
    run_scheduler,
)
from services.runtime.settings import RuntimeSettings

CPU_ARGS = {
    "device": "cpu",
    "attention_backend": "torch_native",
    "sampling_backend": "pytorch",
    "disable_cuda_graph": True,
}
COMMON_ARGS = {
    "skip_server_warmup": True,
    "incremental_streaming_output": True,
    "enable_metrics": True,  # without it the times of a request are not passed on
    "log_level": "warning",
}


class KvEngine(Engine):
    """`sglang.Engine` whose scheduler proves our hooks before it serves."""

    run_scheduler_process_func = staticmethod(run_scheduler)


class EngineSignals:
    """SGLang's signal handling without its habit of ending the process.

    SIGTERM reaches the runtime as SIGINT, whose handler SGLang leaves alone. SIGQUIT, by which SGLang's processes tell
    of a crash, resolves `died` with a sentence.
    """

    def __init__(self, died: asyncio.Future[str]) -> None:
        self._died = died

    def sigterm_handler(self, signum: Any = None, frame: Any = None) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def running_phase_sigquit_handler(self, signum: Any = None, frame: Any = None) -> None:
        if not self._died.done():
            self._died.set_result("an SGLang process died; its last log lines say why")


@dataclass(frozen=True)
class Launched:
    """A running engine, and what its scheduler process said of itself."""

    engine: KvEngine
    report: StartReport
    channel: Path


def launch(settings: RuntimeSettings, adapter: Path | None) -> Launched:
    """A running engine with the adapter in this folder; blocks for as long as the model takes to load.

    Raises EngineFailed with the reason. An adapter that cannot be loaded is no reason: the report tells of it.
    """
    args = {**COMMON_ARGS, **({} if torch.cuda.is_available() else CPU_ARGS), **settings.engine_args}
    # lasts as long as the engine
    channel = Path(tempfile.mkdtemp(prefix="lookaheadkv-channel-"))
    with tempfile.TemporaryDirectory() as folder:
        failure, report = Path(folder) / "failure", Path(folder) / "report"
        variables = {
            FAILURE_FILE_VARIABLE: str(failure),
            START_FILE_VARIABLE: str(report),
            CHANNEL_VARIABLE: str(channel),
        }
        with _environment(variables | ({ADAPTER_VARIABLE: str(adapter.absolute())} if adapter else {})):
            try:
                engine = KvEngine(model_path=str(settings.model_path), **args)
                return Launched(engine, read_start_report(report), channel)
            except Exception as error:
                shutil.rmtree(channel)
                reason = failure.read_text() if failure.exists() else f"{type(error).__name__}: {error}"
                raise EngineFailed(f"SGLang did not start: {reason}") from error


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set for SGLang's processes, which it starts itself; gone afterwards."""
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
