"""Runtimes and routers are restarted one after the other, under load, and no client sees it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import grpc

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from tests.integration.clients import Client, generate_request, until
from tests.processes import ROOT, ServerProcess, free_port

CLIENTS = 8
TOKENS = 20
# answered while a process stops, and again while it is back
ANSWERS = 2 * CLIENTS
PAGE = (ROOT / "docs" / "deploy.md").read_text()
# what the page tells clients to set
(SERVICE_CONFIG,) = re.findall(r"```json service-config\n(.*?)```", PAGE, re.DOTALL)


@dataclass
class Load:
    """What became of the requests of clients that never stop asking."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)

    async def ask(self, stub: generation_pb2_grpc.GenerationServiceStub) -> None:
        while True:
            responses: list[generation_pb2.GenerateResponse] = []
            try:
                async for response in stub.Generate(generate_request(200, TOKENS), timeout=60):
                    responses.append(response)
            except grpc.aio.AioRpcError as error:
                self.failures.append(f"{error.code().name} after {len(responses)} messages: {error.details()}")
                # else a client of a fleet that is down asks as fast as it can
                await asyncio.sleep(0.1)
                continue
            if not responses or responses[-1].complete.usage.completion_tokens != TOKENS:
                self.failures.append(f"an answer that is not whole: {responses[-1:]}")
            self.answered += 1

    async def answers(self, more: int) -> None:
        """Returns when so many more were answered."""
        enough = self.answered + more
        while self.answered < enough:
            assert not self.failures
            await asyncio.sleep(0.01)


@asynccontextmanager
async def loaded(*routers: str) -> AsyncIterator[Load]:
    """Clients that share a channel over these routers, with the settings of the page."""
    load = Load()
    target = f"ipv4:{','.join(routers)}"
    options = [("grpc.service_config", json.dumps(json.loads(SERVICE_CONFIG)))]
    async with grpc.aio.insecure_channel(target, options) as channel:
        stub = generation_pb2_grpc.GenerationServiceStub(channel)
        clients = [asyncio.create_task(load.ask(stub)) for _ in range(CLIENTS)]
        try:
            yield load
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)


class Fleet:
    """Two runtimes and two routers on ports that they keep."""

    def __init__(self, start_runtime: Callable[..., ServerProcess], start_router: Callable[..., ServerProcess]) -> None:
        runtime_ports = [free_port(), free_port()]
        self.targets = [f"127.0.0.1:{port}" for port in runtime_ports]
        start = partial(start_runtime, tokens_per_second=100)
        self.start_runtimes = [partial(start, RUNTIME_PORT=port) for port in runtime_ports]
        self.start_routers = [partial(start_router, *self.targets, ROUTER_PORT=free_port()) for _ in range(2)]
        self.runtimes = [start() for start in self.start_runtimes]
        self.routers = [start() for start in self.start_routers]

    async def all_in(self, target: str, times: int = 1) -> None:
        """Returns when every router has found this runtime so many times."""
        await until(partial(self._times_in, target), lambda found: min(found) >= times, 60)

    async def _times_in(self, target: str) -> list[int]:
        wanted = {"event": "runtime in", "target": target}
        return [sum(wanted.items() <= event.items() for event in list(router.events)) for router in self.routers]


async def stop(process: ServerProcess, load: Load) -> None:
    """SIGTERM while requests are in flight, and more of them until it has ended."""
    process.terminate()
    ended = asyncio.create_task(asyncio.to_thread(process.wait, 60))
    await load.answers(ANSWERS)
    assert await ended == 0


async def busy(target: str) -> None:
    """Returns while a runtime has a request in flight."""
    async with Client(target) as client:
        await until(client.load, lambda load: load.in_flight > 0)


async def test_no_request_fails_while_all_are_restarted_one_after_the_other(start_runtime, start_router):
    fleet = Fleet(start_runtime, start_router)
    for target in fleet.targets:
        await fleet.all_in(target)
    async with loaded(*(router.target for router in fleet.routers)) as load:
        await load.answers(ANSWERS)
        for index, target in enumerate(fleet.targets):
            await busy(target)
            await stop(fleet.runtimes[index], load)
            fleet.runtimes[index] = fleet.start_runtimes[index]()
            # what minReadySeconds is for
            await fleet.all_in(target, times=2)
            await load.answers(ANSWERS)
        for index in range(2):
            await stop(fleet.routers[index], load)
            fleet.routers[index] = fleet.start_routers[index]()
            # the clients have found it
            await asyncio.to_thread(fleet.routers[index].wait_for, "request", status="OK")
            await load.answers(ANSWERS)
    assert load.failures == []
