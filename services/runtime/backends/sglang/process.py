"""The scheduler process: SGLang's own, started only once our hooks are proven to be in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from services.shared.logs import configure_logs

# where the scheduler leaves the sentence that says why it cannot run; SGLang's pipe carries none
FAILURE_FILE_VARIABLE = "LOOKAHEADKV_FAILURE_FILE"


def run_scheduler(*args: Any, **kwargs: Any) -> Any:
    """`run_scheduler_process` of SGLang behind our self-check. Pickled by name into the spawned process."""
    from sglang.srt.managers.scheduler import run_scheduler_process
    from sglang.srt.plugins import load_plugins

    from services.runtime.backends.sglang.hooks import HooksMissing, check_applied, check_sglang

    configure_logs("WARNING")
    try:
        check_sglang()
        load_plugins()
        check_applied()
    except HooksMissing as error:
        record_failure(str(error))
        raise
    return run_scheduler_process(*args, **kwargs)


def record_failure(sentence: str) -> None:
    """Leave the reason for the parent process; the first one stays."""
    name = os.environ.get(FAILURE_FILE_VARIABLE)
    if name and not Path(name).exists():
        Path(name).write_text(sentence)
