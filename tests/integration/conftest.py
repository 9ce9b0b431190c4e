"""Real processes on free ports."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clients import Client
from tests.integration.links import Link
from tests.integration.registry_client import REGISTRY
from tests.integration.stores import all_leaked_keys
from tests.processes import ROOT, ServerProcess
from tests.redis_servers import SERVERS, RedisServer, server_program

StartProcess = Callable[..., ServerProcess]


@pytest.fixture
def start_process() -> Iterator[StartProcess]:
    """start_process("services.runtime.main", RUNTIME_PORT="0", ...): killed at the end of the test."""
    started: list[ServerProcess] = []

    def start(module: str, **variables: Any) -> ServerProcess:
        started.append(ServerProcess(module, {name: str(value) for name, value in variables.items()}))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def start_runtime(start_process: StartProcess, tiny_model: Path) -> StartProcess:
    """start_runtime(tokens_per_second=50, RUNTIME_...=...): a runtime with the fake engine; waits for nothing.

    Lower-case arguments are arguments of the engine. No scorer is there unless RUNTIME_SCORER_TARGET names one.
    """

    def start(**arguments: Any) -> ServerProcess:
        return start_process("services.runtime.main", **_runtime_variables(tiny_model, arguments))

    return start


def _runtime_variables(model: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    engine_args = {name: value for name, value in arguments.items() if name.islower()}
    variables = {name: value for name, value in arguments.items() if name.isupper()}
    defaults = {
        "RUNTIME_BACKEND": "fake",
        "RUNTIME_PORT": 0,
        "RUNTIME_METRICS_PORT": 0,
        "RUNTIME_MODEL_PATH": model,
        "RUNTIME_SCORER_TARGET": "127.0.0.1:1",
        "RUNTIME_ENGINE_ARGS": json.dumps(engine_args),
    }
    return defaults | variables


@pytest.fixture
def start_scorer(start_process: StartProcess) -> StartProcess:
    """start_scorer(config_path, port=0, SCORER_...=...): a scorer sidecar; waits for nothing."""

    def start(config_path: Path, port: int = 0, **variables: Any) -> ServerProcess:
        defaults = {"SCORER_PORT": port, "SCORER_METRICS_PORT": 0, "SCORER_CONFIG_PATH": config_path}
        return start_process("scorer.main", **defaults | variables)

    return start


@pytest.fixture
def start_router(start_process: StartProcess, tiny_model: Path) -> StartProcess:
    """start_router("host:port", ..., ROUTER_...=...): a router in front of these runtimes; waits for nothing."""

    def start(*targets: str, **variables: Any) -> ServerProcess:
        defaults = {
            "ROUTER_PORT": 0,
            "ROUTER_METRICS_PORT": 0,
            "ROUTER_TARGETS": ",".join(targets),
            "ROUTER_MODEL_PATH": tiny_model,
            "ROUTER_LOAD_POLL_SECONDS": 0.05,
        }
        return start_process("router.main", **defaults | variables)

    return start


@pytest.fixture
def start_pair(
    start_runtime: StartProcess, start_router: StartProcess
) -> Callable[..., tuple[ServerProcess, dict[str, ServerProcess]]]:
    """start_pair(tokens_per_second=50, ROUTER_...=...): a router, and its two runtimes by target; waits for both."""

    def start(**arguments: Any) -> tuple[ServerProcess, dict[str, ServerProcess]]:
        variables = {name: value for name, value in arguments.items() if name.startswith("ROUTER_")}
        others = {name: value for name, value in arguments.items() if name not in variables}
        started = [start_runtime(**others) for _ in range(2)]
        runtimes = {runtime.target: runtime for runtime in started}
        for runtime in started:
            runtime.wait_for("ready")
        router = start_router(*runtimes, **variables)
        for target in runtimes:
            router.wait_for("runtime in", target=target)
        return router, runtimes

    return start


@pytest.fixture
def redis_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    """A store of adapters that may be killed: Valkey, and for tests under BOTH_SERVERS Redis, too."""
    server = RedisServer(server_program(getattr(request, "param", "valkey")), tmp_path)
    yield server
    server.kill()


@pytest.fixture(scope="module", params=SERVERS)
def each_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Valkey, and then Redis 7, for the tests of a module; they ask for `server`."""
    server = RedisServer(server_program(request.param), tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def each_link(each_server: RedisServer) -> Iterator[Link]:
    """The only way from `sidecar` to the server; tests ask for `link`."""
    link = Link(each_server.port)
    yield link
    link.close()


@pytest.fixture(scope="module")
def sidecar(each_link: Link) -> Iterator[ServerProcess]:
    """A scorer sidecar that the tests of a module share."""
    variables = {"SCORER_PORT": "0", "SCORER_METRICS_PORT": "0", "SCORER_REDIS_URL": each_link.url}
    process = ServerProcess("scorer.main", variables | {"SCORER_CONFIG_PATH": str(ROOT / "scorer" / "scoring.yaml")})
    yield process
    process.kill()


@pytest.fixture(scope="module")
def follower(sidecar: ServerProcess, tiny_model: Path) -> Iterator[ServerProcess]:
    """A runtime that follows `sidecar`, and that the tests of a module share."""
    variables = _runtime_variables(tiny_model, {"RUNTIME_SCORER_TARGET": sidecar.target})
    process = ServerProcess("services.runtime.main", {name: str(value) for name, value in variables.items()})
    yield process
    process.kill()


@pytest.fixture
def link(each_link: Link) -> Iterator[Link]:
    """Passes at the start; may be cut."""
    yield each_link
    each_link.drop()


@pytest.fixture
async def server(each_server: RedisServer) -> AsyncIterator[RedisServer]:
    """Empty at the start; may be killed, paused and filled. No test may leave a key that nobody owns."""
    each_server.heal()
    with each_server.client() as admin:
        admin.flushall()
    yield each_server
    leaked = await all_leaked_keys(each_server)
    assert leaked == []


@pytest.fixture
async def registry(sidecar: ServerProcess, server: RedisServer, link: Link) -> AsyncIterator[Client]:
    """A client of `sidecar`, whose store is empty."""
    async with Client(sidecar.target) as client:
        yield await client.ready(REGISTRY)
