"""What a measuring command leaves behind: a JSON report and the same as a short Markdown table."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ENGINE_PACKAGES = ("torch", "triton", "sglang")


@dataclass(frozen=True)
class Report:
    """What was measured: `settings` is the same for all `rows`, and all rows have the same keys."""

    name: str
    settings: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    caption: str = ""  # under the Markdown table, for what a reader must know to judge the figures


def write_report(report: Report, folder: Path) -> Path:
    """Write `<name>.json` and `<name>.md` into `folder`; returns the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    content = as_json(report)
    file = folder / f"{report.name}.json"
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    file.with_suffix(".md").write_text(_markdown(report, content))
    return file


def as_json(report: Report) -> dict[str, Any]:
    """The report with the commit, the date and the machine it was made on."""
    return {
        "name": report.name,
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "settings": dict(report.settings),
        "rows": [dict(row) for row in report.rows],
    }


def commit() -> str:
    """The commit of the code that runs, with `-dirty` when files differ from it; empty outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def machine() -> dict[str, Any]:
    """Processor, cores that we may use, GPU (empty without one), and the versions of the engine's packages."""
    return {"cpu": _cpu(), "cores": len(os.sched_getaffinity(0)), "gpu": _gpu()} | {
        name: _version(name) for name in ENGINE_PACKAGES
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _gpu() -> str:
    torch = _torch()
    return torch.cuda.get_device_name(0) if torch and torch.cuda.is_available() else ""


def _torch() -> Any:
    """None where it is not installed, as where somebody measures a server from elsewhere."""
    # seconds of import, at the end of a measurement only
    return import_module("torch") if find_spec("torch") else None


def _version(package: str) -> str:
    if package == "torch":
        # tells the CPU build from others, which the package's metadata may not
        return str(getattr(_torch(), "__version__", ""))
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _markdown(report: Report, content: Mapping[str, Any]) -> str:
    columns = list(report.rows[0]) if report.rows else []
    lines = [_line(columns), _line(["---"] * len(columns))]
    lines += [_line([_cell(row[column]) for column in columns]) for row in report.rows]
    made = ", ".join(f"{name} {value}" for name, value in content["machine"].items() if value != "")
    facts = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    parts = [report.caption, f"{content['date']}, commit {content['commit'] or 'unknown'}: {made}.", f"{facts}."]
    table = "\n".join(lines)
    return "\n\n".join([f"# {report.name}", table, *(part for part in parts if part.strip("."))]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    text = _figure(value) if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|")


def _figure(value: float) -> str:
    # shares and ratios need more places than milliseconds
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
