"""A router before runtimes on the fake engine, all real processes on this machine."""

import json
from collections.abc import Iterator, Mapping
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

    def check(self) -> None:
        """Raise ProcessFailed when a process has ended."""
        for process in self.processes:
            process.check()


@contextmanager
def local_fleet(
    name: str,
    engine_args: Mapping[str, Any],
    settings: LocalSettings,
    console: Console,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Fleet]:
    """Four runtimes and a router, ready; `variables` is added to the environment of each. Raises ProcessFailed."""
    folder = (settings.build_dir / "bench" / name).resolve()
    model_path = _write_model(folder / "model")
    ports = free_ports(RUNTIMES + 1)
    generation = service_name(generation_pb2.DESCRIPTOR, "GenerationService")
    common = {"RUNTIME_BACKEND": "fake", "RUNTIME_SCORER_TARGET": "127.0.0.1:1", "RUNTIME_MODEL_PATH": model_path}
    arguments = common | {"RUNTIME_ENGINE_ARGS": json.dumps(dict(engine_args))}
    runtimes = [
        ServerSpec(
            f"runtime-{number}",
            "services.runtime.main",
            generation,
            port,
            as_texts(arguments | {"RUNTIME_PORT": port}, variables or {}),
        )
        for number, port in enumerate(ports[1:])
    ]
    targets = tuple(spec.target for spec in runtimes)
    own = {"ROUTER_PORT": ports[0], "ROUTER_MODEL_PATH": model_path, "ROUTER_TARGETS": ",".join(targets)}
    router = ServerSpec("router", "router.main", generation, ports[0], as_texts(own, variables or {}))
    with running([*runtimes, router], folder, settings, console) as processes:
        yield Fleet(router.target, targets, processes)


def _write_model(folder: Path) -> Path:
    """A model folder without weights. The words w1, w2, ... are the tokens 1, 2, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(MODEL_CONFIG))
    words = {"<unk>": 0, **{f"w{token}": token for token in range(1, VOCAB_SIZE)}}
    Tokenizer(models.WordLevel(words, unk_token="<unk>")).save(str(folder / "tokenizer.json"))
    return folder
