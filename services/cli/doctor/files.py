"""The model's folder."""

import json
from collections.abc import Iterator
from pathlib import Path

from services.cli.doctor.finding import Finding, Subject, ok, skipped, wrong
from services.local.model_folder import REMEDY, missing_files, weights_bytes
from services.runtime.backends.sglang.architectures import ARCHITECTURES

GIB = 1 << 30


def model(subject: Subject) -> Iterator[Finding]:
    """What router and runtime read of it."""
    folder = subject.model
    if folder is None:
        yield skipped("model", "name its folder with --model")
    elif not folder.is_dir():
        yield wrong("model", f"{folder} is no folder", REMEDY)
    elif missing := missing_files(folder):
        yield wrong("model", f"{folder} has no {', '.join(missing)}", REMEDY)
    else:
        yield _architecture(folder)


def _architecture(folder: Path) -> Finding:
    try:
        config = json.loads((folder / "config.json").read_text())
        found = list(config.get("architectures") or [config.get("model_type", "unknown")])
    except (ValueError, AttributeError, TypeError) as error:
        return wrong("model", f"config.json: {error}", "download the model again")
    if not set(found) & set(ARCHITECTURES):
        remedy = f"serve one of {', '.join(ARCHITECTURES)}"
        return wrong("model", f"{found[0]} is none that can be compacted", remedy)
    return ok("model", f"{folder.name}: {found[0]}, {weights_bytes(folder) / GIB:.2f} GiB of weights")
