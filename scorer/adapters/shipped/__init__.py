"""The adapters that come with this package: a folder for each model, named like it."""

from pathlib import Path

from scorer.adapters.errors import AdapterDamaged
from scorer.adapters.manifest import MANIFEST_FILE, Manifest

FOLDER = Path(__file__).parent


def find_shipped(fingerprint: str, shipped: Path = FOLDER) -> Path | None:
    """The folder of the adapter for the model with this fingerprint, None when there is none.

    Only manifests are read here. Raises AdapterInvalid or AdapterDamaged for one that cannot be used.
    """
    for manifest in sorted(shipped.glob(f"*/{MANIFEST_FILE}")):
        if Manifest.from_json(_content(manifest)).model_fingerprint == fingerprint:
            return manifest.parent
    return None


def _content(manifest: Path) -> bytes:
    try:
        return manifest.read_bytes()
    except OSError as error:
        raise AdapterDamaged(f"{MANIFEST_FILE}: cannot be read from {manifest.parent}: {error.strerror}") from error
