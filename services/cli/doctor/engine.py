"""The engine: its packages, whether our hooks fit, and its device."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.cli.doctor.finding import Finding, Subject, ok, wrong

SECONDS = 120.0
GIB = 1 << 30
DRIVER = Path("/proc/driver/nvidia/version")
INSTALL = "install the runtime's packages: make install, or make install SET=cuda"


def engine(subject: Subject) -> Iterator[Finding]:
    """Asked of a process of its own: its packages take seconds to import, and may not be there."""
    try:
        found = _inspected()
    except (subprocess.SubprocessError, ValueError) as error:
        yield wrong("engine", str(error), INSTALL)
        return
    versions = found["versions"]
    missing = [name for name, version in versions.items() if not version]
    text = ", ".join(f"{name} {version}" for name, version in versions.items() if version) or "none"
    yield wrong("packages", f"{text}; without {', '.join(missing)}", INSTALL) if missing else ok("packages", text)
    if found["hooks"]:
        yield wrong("hooks", found["hooks"], INSTALL)
    else:
        yield ok("hooks", "fit this SGLang")
    yield _device(found["device"])


def _device(device: dict[str, Any] | None) -> Finding:
    driver = _driver()
    if device is None and driver:
        remedy = "make install SET=cuda, and look at CUDA_VISIBLE_DEVICES"
        return wrong("device", f"driver {driver} is there, and torch sees no CUDA device", remedy)
    if device is None:
        return ok("device", "no CUDA device: the engine runs on the CPU, slowly")
    free, total = device["free_bytes"] / GIB, device["total_bytes"] / GIB
    text = f"{device['name']}, CUDA {device['cuda']}, driver {driver or 'unknown'}, {free:.1f} of {total:.1f} GiB free"
    if free < total / 2:
        return wrong("device", text, "stop what uses the device, or lower mem_fraction_static in RUNTIME_ENGINE_ARGS")
    return ok("device", text)


def _driver() -> str:
    """The version of NVIDIA's driver; empty without one."""
    found = re.search(r"\d+\.\d+(\.\d+)?", DRIVER.read_text()) if DRIVER.is_file() else None
    return found.group() if found else ""


def _inspected() -> dict[str, Any]:
    """Raises SubprocessError and ValueError."""
    command = [sys.executable, "-m", "services.runtime.inspection"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise ValueError((done.stderr.strip().splitlines() or ["it says nothing"])[-1])
    found: dict[str, Any] = json.loads(lines[-1])
    return found
