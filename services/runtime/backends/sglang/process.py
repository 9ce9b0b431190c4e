"""The scheduler process: SGLang's own, started only once our hooks are proven to be in place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from services.shared.logs import configure_logs

# where the scheduler leaves the sentence that says why it cannot run; SGLang's pipe carries none
FAILURE_FILE_VARIABLE = "LOOKAHEADKV_FAILURE_FILE"
# where it leaves its StartReport once it can run
START_FILE_VARIABLE = "LOOKAHEADKV_START_FILE"
# the folder of the adapter that it is to load; not set when there is none
ADAPTER_VARIABLE = "LOOKAHEADKV_ADAPTER_PATH"


@dataclass(frozen=True)
class StartReport:
    """What the scheduler process runs without, for as long as it lives.

    `adapter_problem`: why the adapter could not be loaded, empty when it was or when none was asked for. `kernels_off`:
    kernels that failed their validation, with the reason; their references run instead.
    """

    adapter_problem: str = ""
    kernels_off: Mapping[str, str] = field(default_factory=dict)


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


def write_start_report(report: StartReport) -> None:
    """Leave the report for the parent process."""
    name = os.environ.get(START_FILE_VARIABLE)
    if name:
        Path(name).write_text(json.dumps(asdict(report)))


def read_start_report(file: Path) -> StartReport:
    """The report that a scheduler process left in `file`."""
    return StartReport(**json.loads(file.read_text()))
