"""Every RPC of every proto is implemented, and the generated code is that of the protos."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from tests.processes import ROOT

PROTOS = sorted((ROOT / "protos").rglob("*.proto"))
SERVICER_MODULES = [
    "scorer.servicer",
    "scorer.registry.servicer",
    "scorer.registry.feed_servicer",
    "router.servicer",
    "router.tenants.servicer",
    "services.runtime.servicer",
]


def module_of(proto: Path, suffix: str) -> str:
    return ".".join(proto.relative_to(ROOT).with_suffix("").parts) + suffix


def services() -> list[tuple[ServiceDescriptor, type]]:
    """Each service with the base class that was generated for its servicers."""
    found = []
    for proto in PROTOS:
        descriptor = importlib.import_module(module_of(proto, "_pb2")).DESCRIPTOR
        grpc_module = importlib.import_module(module_of(proto, "_pb2_grpc"))
        for service in descriptor.services_by_name.values():
            found.append((service, getattr(grpc_module, f"{service.name}Servicer")))
    return found


def servicers(base: type) -> list[type]:
    classes = [value for name in SERVICER_MODULES for value in vars(importlib.import_module(name)).values()]
    return [value for value in classes if isinstance(value, type) and issubclass(value, base) and value is not base]


def test_walk_finds_all_services():
    assert len(services()) >= len(PROTOS) >= 3


@pytest.mark.parametrize(("service", "base"), services(), ids=lambda value: getattr(value, "full_name", ""))
def test_every_rpc_is_implemented(service, base):
    found = servicers(base)
    assert found, f"no servicer of {service.full_name} in {SERVICER_MODULES}"
    for servicer in found:
        missing = [rpc.name for rpc in service.methods if getattr(servicer, rpc.name) is getattr(base, rpc.name)]
        assert not missing, f"{servicer.__module__}.{servicer.__name__} lacks {missing}"


def test_generated_code_is_that_of_the_protos(tmp_path):
    relative = [str(proto.relative_to(ROOT)) for proto in PROTOS]
    out = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I.", *out, *relative], cwd=ROOT, check=True)
    fresh = {file.relative_to(tmp_path): file.read_text() for file in tmp_path.rglob("*.py*")}
    assert len(fresh) == 3 * len(PROTOS)
    old = [str(path) for path, text in fresh.items() if (ROOT / path).read_text() != text]
    assert not old, f"run `make protos`: {old} differ"
