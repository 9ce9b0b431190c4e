"""Starting `sglang.Engine` so that it serves with our plugin, or fails with a sentence."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import torch
from sglang.srt.entrypoints.engine import Engine

from services.runtime.backends.base import EngineFailed
from services.runtime.backends.sglang.process import FAILURE_FILE_VARIABLE, run_scheduler
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


def launch(settings: RuntimeSettings) -> KvEngine:
    """A running engine; blocks for as long as the model takes to load. Raises EngineFailed with the reason."""
    args = {**COMMON_ARGS, **({} if torch.cuda.is_available() else CPU_ARGS), **settings.engine_args}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reason"
        os.environ[FAILURE_FILE_VARIABLE] = str(file)
        try:
            return KvEngine(model_path=str(settings.model_path), **args)
        except Exception as error:
            reason = file.read_text() if file.exists() else f"{type(error).__name__}: {error}"
            raise EngineFailed(f"SGLang did not start: {reason}") from error
        finally:
            del os.environ[FAILURE_FILE_VARIABLE]
