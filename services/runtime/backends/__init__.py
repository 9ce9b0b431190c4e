"""Inference engines by name. To add one: a file here, and one line below."""

import pkgutil

from services.runtime.backends.base import Backend

BACKENDS = {
    "fake": "services.runtime.backends.fake:FakeBackend",
    "sglang": "services.runtime.backends.sglang.backend:SglangBackend",
}


def load_backend(name: str) -> type[Backend]:
    """The class of a backend; only now is its engine imported."""
    backend: type[Backend] = pkgutil.resolve_name(BACKENDS[name])
    return backend
