"""Which adapter this runtime serves with, found and checked before any engine starts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorer.adapters.bundle import Bundle
from scorer.adapters.errors import AdapterError
from scorer.adapters.fingerprint import model_fingerprint
from scorer.adapters.folder import read_folder
from scorer.adapters.shipped import find_shipped


@dataclass(frozen=True)
class AdapterInfo:
    """An adapter as callers see it. `sha256` is that of its weights; its rows need `lookahead_tokens` positions."""

    name: str
    version: int
    sha256: str
    lookahead_tokens: int

    @classmethod
    def of(cls, bundle: Bundle) -> "AdapterInfo":
        manifest = bundle.manifest
        return cls(manifest.adapter, manifest.version, manifest.files.weights.sha256, bundle.config.lookahead_tokens)


@dataclass(frozen=True)
class AdapterChoice:
    """A folder whose adapter fits the model, or, with no folder, one sentence that says why there is none."""

    folder: Path | None = None
    info: AdapterInfo | None = None
    problem: str = ""


def choose_adapter(adapter_path: str, model_config: Mapping[str, Any]) -> AdapterChoice:
    """The adapter in `adapter_path`, or the shipped one when that is empty, for the model with this `config.json`.

    Never raises: without an adapter the runtime serves on.
    """
    fingerprint = model_fingerprint(dict(model_config))
    try:
        folder = Path(adapter_path) if adapter_path else find_shipped(fingerprint)
        if folder is None:
            return AdapterChoice(
                problem=f"none is shipped for a model with fingerprint {fingerprint}; name one in RUNTIME_ADAPTER_PATH"
            )
        return AdapterChoice(folder, AdapterInfo.of(read_folder(folder, model_config)))
    except AdapterError as error:
        remedy = "name a folder with an adapter for this model, or leave RUNTIME_ADAPTER_PATH empty"
        return AdapterChoice(problem=f"the one in {adapter_path or 'the package'} was refused: {error}; {remedy}")
