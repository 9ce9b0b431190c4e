"""Adapters as folders: `adapter_config.json`, `adapter_model.safetensors` and `manifest.json`."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scorer.adapters.bundle import Bundle, verify_bundle
from scorer.adapters.config import CONFIG_FILE
from scorer.adapters.errors import AdapterDamaged
from scorer.adapters.manifest import MANIFEST_FILE, MAX_MANIFEST_BYTES, WEIGHTS_FILE, Manifest


def save_folder(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    """Make `folder` appear complete or not at all, with nothing in it that `read_folder` would refuse.

    Raises FileExistsError when it is there, since versions never change, else what `verify_bundle` does.
    """
    verify_bundle(manifest, contents, manifest.model_config_fields)
    files = {name: contents[name] for name in (CONFIG_FILE, WEIGHTS_FILE)} | {MANIFEST_FILE: manifest.to_json()}
    with temporary_sibling(folder) as half_made:
        for name, content in files.items():
            write(half_made / name, content)
        rename(half_made, folder)


def read_folder(folder: Path, model_config: Mapping[str, Any]) -> Bundle:
    """The checked adapter in `folder`. Raises what `verify_bundle` does, AdapterDamaged when a file is missing."""
    return verify_bundle(*read_files(folder, model_config), model_config)


def read_files(folder: Path, model_config: Mapping[str, Any] | None = None) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and the two other files, of which only the sizes are bounded. Raises as `read_folder` does."""
    manifest = Manifest.from_json(_read(folder / MANIFEST_FILE, MAX_MANIFEST_BYTES))
    if model_config is not None:
        # before its gigabytes are read
        manifest.check_model(model_config)
    sizes = {CONFIG_FILE: manifest.files.config.size_bytes, WEIGHTS_FILE: manifest.files.weights.size_bytes}
    return manifest, {name: _read(folder / name, size_bytes) for name, size_bytes in sizes.items()}


def _read(file: Path, max_bytes: int) -> bytes:
    try:
        with file.open("rb") as handle:
            content = handle.read(max_bytes + 1)
    except OSError as error:
        raise AdapterDamaged(f"{file.name}: cannot be read from {file.parent}: {error.strerror}") from error
    if len(content) > max_bytes:
        raise AdapterDamaged(f"{file.name}: has more than the {max_bytes} bytes it may have")
    return content


def write(file: Path, content: bytes) -> None:
    """A new file that outlives a crash of the machine."""
    with file.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def rename(half_made: Path, folder: Path) -> None:
    """`half_made` becomes `folder`. Raises FileExistsError when that is there."""
    # an empty folder would be replaced, and one with files give another error
    if folder.exists():
        raise FileExistsError(f"{folder}: exists; a version never changes, choose the next one")
    half_made.rename(folder)


@contextlib.contextmanager
def temporary_sibling(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder`, gone afterwards unless it was renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    half_made = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    half_made.mkdir()
    try:
        yield half_made
    finally:
        shutil.rmtree(half_made, ignore_errors=True)
