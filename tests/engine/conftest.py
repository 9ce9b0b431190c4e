"""A real runtime on the real model, and the reference that its answers are compared with."""

import json
import os
import pydoc_data.topics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import torch

from protos.generation.v1 import generation_pb2_grpc
from protos.runtime.v1 import runtime_pb2, runtime_pb2_grpc
from services.local.model import ensure_model
from services.runtime.backends.sglang.cpu import declare_vision_ops
from services.shared.tokenizer import PromptTokenizer
from tests.processes import ServerProcess, poll

# before the first import of a model class
declare_vision_ops()

from tests.engine.adapters import adapter_for, weights_of
from tests.engine.reference import Reference

ENGINE_SECONDS = 240.0
# pool and batch are small, so that a leak or a wrong count shows
POOL_TOKENS = 4096
ENGINE_ARGS = {
    "dtype": "float32",
    "max_total_tokens": POOL_TOKENS,
    "max_running_requests": 8,
    "context_length": 4096,
    "chunked_prefill_size": 300,
    "mem_fraction_static": 0.5,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


class Runtime:
    """A running runtime process and its stubs."""

    def __init__(self, process: ServerProcess, trace_dir: Path) -> None:
        self.process = process
        self.trace_dir = trace_dir
        self.channel = grpc.insecure_channel(process.target)
        self.generation = generation_pb2_grpc.GenerationServiceStub(self.channel)
        self.runtime = runtime_pb2_grpc.RuntimeServiceStub(self.channel)

    def wait_ready(self) -> "Runtime":
        """This runtime, once its engine serves. Raises AssertionError with the reason when it cannot."""
        poll(
            lambda: {"ready", "engine did not start"} & {line["event"] for line in self.process.events}, ENGINE_SECONDS
        )
        failed = [line["reason"] for line in self.process.events if line["event"] == "engine did not start"]
        assert not failed, failed
        return self

    def free_slots(self) -> int:
        """Slots that a new request could use."""
        return int(self.runtime.GetLoad(runtime_pb2.GetLoadRequest()).free_slots)


@contextmanager
def running(
    model: Path, trace_dir: Path, engine_args: Mapping[str, object], variables: dict[str, str]
) -> Iterator[Runtime]:
    """A runtime with these engine arguments beside ENGINE_ARGS; stopped at the end. It need not get ready."""
    settings = {
        "RUNTIME_PORT": "0",
        "RUNTIME_METRICS_PORT": "0",
        "RUNTIME_MODEL_PATH": str(model),
        "RUNTIME_SCORER_TARGET": "127.0.0.1:1",
        "RUNTIME_TRACE_DIR": str(trace_dir),
        "RUNTIME_ENGINE_ARGS": json.dumps({**ENGINE_ARGS, **engine_args}),
        "OMP_NUM_THREADS": "1",
        "SGLANG_ENABLE_STRICT_MEM_CHECK_DURING_BUSY": "1",
    }
    process = ServerProcess("services.runtime.main", settings | variables)
    try:
        runtime = Runtime(process, trace_dir)
        with runtime.channel:
            yield runtime
    finally:
        process.kill()


@pytest.fixture(scope="session")
def model_path() -> Path:
    return ensure_model()


@pytest.fixture(scope="session")
def adapter_folder(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapter_for(model_path, tmp_path_factory.mktemp("adapters") / "random")


@pytest.fixture(scope="session")
def runtime(model_path: Path, adapter_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """The one engine of most tests."""
    variables = {"RUNTIME_ADAPTER_PATH": str(adapter_folder)}
    with running(model_path, tmp_path_factory.mktemp("trace"), {}, variables) as started:
        yield started.wait_ready()


@pytest.fixture(scope="session")
def reference(model_path: Path, adapter_folder: Path) -> Reference:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return Reference(model_path, weights_of(adapter_folder, model_path))


@pytest.fixture(scope="session")
def text_ids(model_path: Path) -> list[int]:
    """Some thousand tokens of real text: Python's own language reference."""
    topics = pydoc_data.topics.topics
    return PromptTokenizer(model_path).encode("\n\n".join(topics[name] for name in ("with", "try", "for", "import")))


@pytest.fixture(autouse=True)
def no_slot_is_lost(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test on the shared engine, every slot can be used again."""
    yield
    if "runtime" in request.fixturenames:
        shared: Runtime = request.getfixturevalue("runtime")
        wait_for_free_slots(shared)


def wait_for_free_slots(runtime: Runtime, wanted: int = POOL_TOKENS, seconds: float = 30.0) -> None:
    """Returns when so many slots are free."""
    poll(
        lambda: runtime.free_slots() == wanted, seconds, lambda: f"{runtime.free_slots()} slots are free, not {wanted}"
    )
