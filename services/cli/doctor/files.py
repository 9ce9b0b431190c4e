"""The model's folder, and whether an adapter fits it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scorer.adapters.errors import AdapterError
from scorer.adapters.fingerprint import read_config
from scorer.adapters.folder import read_folder
from services.cli.doctor.finding import Finding, Subject, ok, skipped, wrong

# as `services/runtime/backends/sglang/support.py` has them, which needs SGLang
ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
NEEDED = ("config.json", "tokenizer.json")


def model(subject: Subject) -> Iterator[Finding]:
    """What router and runtime read of it."""
    folder = subject.model
    if folder is None:
        yield skipped("model", "name its folder with --model")
        return
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if not list(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        remedy = "name a folder in Hugging Face layout, as a download of the model has it"
        yield wrong("model", f"{folder} has no {', '.join(missing)}", remedy)
        return
    yield _architecture(folder)


def adapter(subject: Subject) -> Iterator[Finding]:
    """Its files, checked as the runtime checks them."""
    if subject.adapter is None or subject.model is None:
        yield skipped("adapter", "name its folder with --adapter, and the model's with --model")
        return
    try:
        bundle = read_folder(subject.adapter, read_config(subject.model))
    except (AdapterError, OSError, ValueError) as error:
        yield wrong("adapter", str(error), "publish one that was trained for this model: lookaheadkv adapters verify")
        return
    manifest = bundle.manifest
    yield ok("adapter", f"{manifest.model}/{manifest.adapter} version {manifest.version} fits the model")


def _architecture(folder: Path) -> Finding:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    except ValueError as error:
        return wrong("model", f"config.json: {error}", "download the model again")
    found = config.get("architectures") or [config.get("model_type", "unknown")]
    if not set(found) & set(ARCHITECTURES):
        remedy = f"serve one of {', '.join(ARCHITECTURES)}"
        return wrong("model", f"{found[0]} is none that can be compacted", remedy)
    return ok("model", f"{folder.name}: {found[0]}")
