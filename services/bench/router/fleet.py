"""A router before runtimes on the fake engine, all real processes on this machine."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from tokenizers import Tokenizer, models

from protos.generation.v1 import generation_pb2
from services.local.process import ServerProcess, ServerSpec
from services.local.settings import LocalSettings
from services.local.stack import as_texts, free_ports, running, service_name

RUNTIMES = 4
VOCAB_SIZE = 1000
CONTEXT_TOKENS = 16_384
# of a small Llama; the fake engine reads nothing but shapes
MODEL_CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCAB_SIZE,
    "max_position_embeddings": CONTEXT_TOKENS,
}


@dataclass(frozen=True)
class Fleet:
    """Where router and runtimes listen, as host:port."""

    router: str
    runtimes: tuple[str, ...]
    processes: tuple[ServerProcess, ...]

    @property
    def router_log(self) -> Path:
        """A line for each request, among others."""
        return self.processes[-1].log

    def check(self) -> None:
        """Raise ProcessFailed when a process has ended."""
        for process in self.processes:
            process.check()


@dataclass(frozen=True)
class FleetSpec:
    """The engine's arguments of all four runtimes, and what is added to the environment of each process."""

    name: str
    engine_args: Mapping[str, Any]
    variables: Mapping[str, str]


@contextmanager
def local_fleets(fleets: Sequence[FleetSpec], settings: LocalSettings, console: Console) -> Iterator[tuple[Fleet, ...]]:
    """These fleets, ready. Raises ProcessFailed.

    All at once, because a process that has used gRPC must not be forked: gRPC may abort its child before it begins.
    """
    folder = (settings.build_dir / "bench").resolve()
    model_path = _write_model(folder / "model")
    specs = [spec for fleet in fleets for spec in _specs(fleet, model_path)]
    with running(specs, folder, settings, console) as processes:
        starts = range(0, len(processes), RUNTIMES + 1)
        yield tuple(_fleet(processes[start : start + RUNTIMES + 1]) for start in starts)


def _fleet(processes: tuple[ServerProcess, ...]) -> Fleet:
    *runtimes, router = (process.spec.target for process in processes)
    return Fleet(router, tuple(runtimes), processes)


def _specs(fleet: FleetSpec, model_path: Path) -> list[ServerSpec]:
    """The runtimes, and then the router that is told where they listen."""
    *ports, router_port = free_ports(RUNTIMES + 1)
    common = {
        "RUNTIME_BACKEND": "fake",
        # nobody looks, and the ports of several would be the same
        "RUNTIME_METRICS_PORT": "",
        "RUNTIME_SCORER_TARGET": "127.0.0.1:1",
        "RUNTIME_MODEL_PATH": model_path,
        "RUNTIME_ENGINE_ARGS": json.dumps(dict(fleet.engine_args)),
    }
    runtimes = [
        _spec(f"{fleet.name}-runtime-{number}", "services.runtime.main", port, common | {"RUNTIME_PORT": port}, fleet)
        for number, port in enumerate(ports)
    ]
    targets = ",".join(spec.target for spec in runtimes)
    own = {
        "ROUTER_PORT": router_port,
        "ROUTER_METRICS_PORT": "",
        "ROUTER_MODEL_PATH": model_path,
        "ROUTER_TARGETS": targets,
    }
    return [*runtimes, _spec(f"{fleet.name}-router", "router.main", router_port, own, fleet)]


def _spec(name: str, module: str, port: int, own: Mapping[str, object], fleet: FleetSpec) -> ServerSpec:
    generation = service_name(generation_pb2.DESCRIPTOR, "GenerationService")
    return ServerSpec(name, module, generation, port, as_texts(own, fleet.variables))


def _write_model(folder: Path) -> Path:
    """A model folder without weights. The words w1, w2, ... are the tokens 1, 2, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(MODEL_CONFIG))
    words = {"<unk>": 0, **{f"w{token}": token for token in range(1, VOCAB_SIZE)}}
    Tokenizer(models.WordLevel(words, unk_token="<unk>")).save(str(folder / "tokenizer.json"))
    return folder
