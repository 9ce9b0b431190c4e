"""All processes on one machine: started together, ready together, stopped together."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import grpc
from google.protobuf.descriptor import FileDescriptor
from rich.console import Console

from protos.generation.v1 import generation_pb2
from protos.scorer.v1 import scoring_config_pb2
from scorer.adapters.store_values import VersionId
from services.local.adapters import publish_adapter, scores_from_registry
from services.local.interrupts import interrupts_held
from services.local.process import ServerProcess, ServerSpec
from services.local.settings import LocalSettings
from services.local.valkey import running_valkey
from services.local.waiting import Step, wait_for

# where the scorer finds adapters
REGISTRY_VARIABLE = "SCORER_REDIS_URL"
ADAPTER_VARIABLE = "RUNTIME_ADAPTER_PATH"
HTTP_VARIABLE = "ROUTER_HTTP_PORT"
METRICS_VARIABLE = "{}_METRICS_PORT"


@dataclass(frozen=True)
class Stack:
    """Where the processes of one machine listen, as host:port, and where their logs are.

    `adapter` is what was published into the registry at `redis_url` and scores; None when the model has none.
    """

    router: str
    runtime: str
    scorer: str
    redis_url: str
    log_dir: Path
    processes: tuple[ServerProcess, ...]
    adapter: VersionId | None = None

    @property
    def http_url(self) -> str:
        """What OpenAI's clients take for `base_url`."""
        variables = next(process.spec.variables for process in self.processes if process.spec.name == "router")
        return f"http://127.0.0.1:{variables[HTTP_VARIABLE]}/v1"

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """What Prometheus reads of each process."""
        specs = [process.spec for process in self.processes]
        ports = {spec.name: spec.variables[METRICS_VARIABLE.format(spec.name.upper())] for spec in specs}
        return {name: f"http://127.0.0.1:{port}/metrics" for name, port in ports.items()}

    def check(self) -> None:
        """Raise ProcessFailed when a process has ended since it was ready."""
        for process in self.processes:
            process.check()


def local_channel(target: str) -> grpc.Channel:
    """A channel to a process on this machine, past any proxy."""
    return grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])


@contextmanager
def local_stack(
    model_path: Path,
    settings: LocalSettings,
    console: Console,
    variables: Mapping[str, str] | None = None,
    router_port: int = 0,
) -> Iterator[Stack]:
    """Valkey, scorer, runtime and router, ready to serve `model_path`. All of them are stopped at the end.

    The model's adapter, or the one in RUNTIME_ADAPTER_PATH, is published into Valkey, and the runtime scores with it.
    `variables` is added to the environment of each process, e.g. {"RUNTIME_BACKEND": "fake"}; where it names another
    registry, nothing is published. The router gets a free port unless one is named. Raises ProcessFailed, which says
    what and why, when the adapter cannot be published, and when a process dies or is not ready in
    `settings.ready_seconds`.
    """
    variables = variables or {}
    log_dir = (settings.build_dir / "logs").resolve()
    log_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as cleanup:
        redis_url = cleanup.enter_context(running_valkey(log_dir / "valkey.log"))
        adapter = None
        if REGISTRY_VARIABLE not in variables:
            folder = {**os.environ, **variables}.get(ADAPTER_VARIABLE, "")
            adapter = publish_adapter(model_path, folder, redis_url, console)
        ours = {
            REGISTRY_VARIABLE: redis_url,
            "ROUTER_REDIS_URL": redis_url,
            "RUNTIME_ENGINE_ARGS": json.dumps(settings.engine_args),
        }
        specs = _specs(model_path, {**ours, **variables}, router_port)
        processes = cleanup.enter_context(running(specs, log_dir, settings, console, adapter))
        scorer, runtime, router = (spec.target for spec in specs)
        yield Stack(router, runtime, scorer, redis_url, log_dir, processes, adapter)


@contextmanager
def running(
    specs: Sequence[ServerSpec],
    log_dir: Path,
    settings: LocalSettings,
    console: Console,
    adapter: VersionId | None = None,
) -> Iterator[tuple[ServerProcess, ...]]:
    """These servers, ready; each may depend on those before it. All of them are stopped at the end.

    With an `adapter`, the second one scores with it before all are ready. Raises ProcessFailed, which names the
    process, when one dies or is not ready in `settings.ready_seconds`.
    """
    processes = tuple(ServerProcess(spec, log_dir) for spec in specs)
    with ExitStack() as cleanup:
        cleanup.callback(_stop, processes, settings.stop_seconds)
        for process in processes:
            process.start()
        _wait_ready(processes, adapter, settings.ready_seconds, console)
        yield processes


def _specs(
    model_path: Path, variables: Mapping[str, str], router_port: int
) -> tuple[ServerSpec, ServerSpec, ServerSpec]:
    """Scorer, runtime and router, each told where the ones before it listen."""
    scorer_port, runtime_port, free_port, http_port, *metrics_ports = free_ports(7)
    router_port = router_port or free_port
    generation = service_name(generation_pb2.DESCRIPTOR, "GenerationService")
    scoring = service_name(scoring_config_pb2.DESCRIPTOR, "ScoringConfigService")
    names = ("SCORER", "RUNTIME", "ROUTER")
    metrics = {METRICS_VARIABLE.format(name): port for name, port in zip(names, metrics_ports, strict=True)}
    scorer = {"SCORER_PORT": scorer_port, "SCORER_CONFIG_PATH": files("scorer") / "scoring.yaml"}
    runtime = {
        "RUNTIME_PORT": runtime_port,
        "RUNTIME_MODEL_PATH": model_path,
        "RUNTIME_SCORER_TARGET": f"127.0.0.1:{scorer_port}",
    }
    router = {
        "ROUTER_PORT": router_port,
        HTTP_VARIABLE: http_port,
        "ROUTER_MODEL_PATH": model_path,
        "ROUTER_TARGETS": f"127.0.0.1:{runtime_port}",
    }
    return (
        ServerSpec("scorer", "scorer.main", scoring, scorer_port, as_texts(scorer | metrics, variables)),
        ServerSpec(
            "runtime", "services.runtime.main", generation, runtime_port, as_texts(runtime | metrics, variables)
        ),
        ServerSpec("router", "router.main", generation, router_port, as_texts(router | metrics, variables)),
    )


def as_texts(own: Mapping[str, object], added: Mapping[str, str]) -> dict[str, str]:
    """Both together, as an environment wants them."""
    return {name: str(value) for name, value in {**own, **added}.items()}


def service_name(file: FileDescriptor, name: str) -> str:
    """The full name of a service, by which its health is asked."""
    full_name: str = file.services_by_name[name].full_name
    return full_name


def free_ports(count: int) -> list[int]:
    """So many ports that are free at the moment."""
    # all held at once, so that they differ
    with ExitStack() as cleanup:
        sockets = [cleanup.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [free.getsockname()[1] for free in sockets]


def _wait_ready(
    processes: Sequence[ServerProcess], adapter: VersionId | None, seconds: float, console: Console
) -> None:
    with ExitStack() as cleanup:
        channels = [cleanup.enter_context(local_channel(process.spec.target)) for process in processes]
        steps = [_ready(process, channel) for process, channel in zip(processes, channels, strict=True)]
        if adapter:
            scorer, runtime, _ = steps
            steps.append(_scoring(adapter, scorer, runtime, channels[1]))
        wait_for(steps, seconds, console)


def _ready(process: ServerProcess, channel: grpc.Channel) -> Step:
    name = process.spec.name
    return Step(f"starting {name}", f"{name} is ready", "was not ready", process, lambda: process.ready(channel))


def _scoring(adapter: VersionId, scorer: Step, runtime: Step, channel: grpc.Channel) -> Step:
    # its resource name is too long for a line
    name = f"{adapter.adapter.name} {adapter.number}"

    def holds() -> bool:
        # they raise what the scorer says of a version that it cannot fetch, and the runtime of one it cannot load
        return scorer.holds() and runtime.holds() and scores_from_registry(channel, adapter)

    late = f"did not load {adapter}"
    return Step(f"loading {name}", f"{name} is loaded from the registry", late, runtime.process, holds)


def _stop(processes: tuple[ServerProcess, ...], seconds: float) -> None:
    """Stop all at once, front to back; what has not ended after `seconds` is killed."""
    with interrupts_held():
        deadline = time.monotonic() + seconds
        for process in reversed(processes):
            process.ask_to_stop()
        for process in reversed(processes):
            process.stop(deadline)
