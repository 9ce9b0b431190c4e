"""As much of a Kubernetes API server as who watches EndpointSlices sees."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.processes import free_port

PATH = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
GONE = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}


class EndpointSlices:
    """Lists what there is, and streams events. `broken` answers 500."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.slices: dict[str, dict[str, Any]] = {}
        self.broken = False
        # how many were begun
        self.watches = 0
        self._watchers: list[asyncio.Queue[str | None]] = []

    def put(self, name: str, ready: Sequence[str], unready: Sequence[str] = (), kind: str = "ADDED") -> None:
        """A slice with these addresses, and an event that says so."""
        endpoints = [
            {"addresses": [address], "conditions": {"ready": address in ready}} for address in (*ready, *unready)
        ]
        found = {
            "metadata": {"name": name, "resourceVersion": "7"},
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [],
        }
        self.slices[name] = found
        self.say({"type": kind, "object": found})

    def delete(self, name: str) -> None:
        self.say({"type": "DELETED", "object": self.slices.pop(name)})

    def say(self, event: dict[str, Any] | str) -> None:
        """Any line to all who watch."""
        for watcher in self._watchers:
            watcher.put_nowait(event if isinstance(event, str) else json.dumps(event))

    def end(self) -> None:
        """All watches end, as they do after a while."""
        for watcher in self._watchers:
            watcher.put_nowait(None)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.broken or request.query["labelSelector"] != "kubernetes.io/service-name=runtimes":
            return web.json_response({"kind": "Status", "message": "broken"}, status=500)
        if "watch" in request.query:
            return await self._watch(request)
        items = list(self.slices.values())
        return web.json_response({"kind": "EndpointSliceList", "metadata": {"resourceVersion": "7"}, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        events: asyncio.Queue[str | None] = asyncio.Queue()
        self._watchers.append(events)
        self.watches += 1
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while (line := await events.get()) is not None:
                await response.write(line.encode() + b"\n")
        finally:
            self._watchers.remove(events)
        return response


@asynccontextmanager
async def api_server(folder: Path, port: int = 0) -> AsyncIterator[tuple[EndpointSlices, Path]]:
    """A running one, and the file that leads to it, as KUBECONFIG names one."""
    slices = EndpointSlices(port or free_port())
    app = web.Application()
    app.router.add_get(PATH, slices.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", slices.port).start()
    try:
        yield slices, write_config(folder, slices.port)
    finally:
        slices.end()
        await runner.cleanup()


def write_config(folder: Path, port: int) -> Path:
    """A file as kubectl has it."""
    path = folder / "kubeconfig.json"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))
    return path
