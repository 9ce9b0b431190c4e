"""Whether a folder holds what router and runtime read of a model."""

import json
from pathlib import Path

NEEDED = ("config.json", "tokenizer.json")
INDEX = "model.safetensors.index.json"
REMEDY = "name a folder in Hugging Face layout, as a download of the model has it"


def missing_files(folder: Path, with_weights: bool = True) -> list[str]:
    """The names of those that are not there; each shard that the index names is one."""
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if not with_weights:
        return missing
    shards = _shards(folder)
    if not shards and not weight_files(folder):
        missing.append("*.safetensors")
    return missing + [name for name in shards if not (folder / name).is_file()]


def weight_files(folder: Path) -> list[Path]:
    """Those that are there."""
    return sorted(folder.glob("*.safetensors"))


def weights_bytes(folder: Path) -> int:
    """The size of all of them together."""
    return sum(file.stat().st_size for file in weight_files(folder))


def folder_problem(folder: Path, with_weights: bool = True) -> str:
    """What is wrong with it, and what to do; empty when nothing is."""
    if not folder.is_dir():
        return f"model: {folder} is no folder; {REMEDY}"
    missing = missing_files(folder, with_weights)
    return f"model: {folder} has no {', '.join(missing)}; {REMEDY}" if missing else ""


def _shards(folder: Path) -> list[str]:
    try:
        return sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
