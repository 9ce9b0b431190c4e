"""Where the runtimes are: a list, a name with many addresses, or the endpoints of a Kubernetes service."""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from services.shared.lifecycle import to_address

TARGET = re.compile(r"[^\s/]+:\d{1,5}")
DNS = re.compile(r"dns:///(?P<host>[^\s/:]+):(?P<port>\d{1,5})")
KUBERNETES = re.compile(r"k8s:///(?P<namespace>[a-z0-9-]+)/(?P<service>[a-z0-9-]+):(?P<port>\d{1,5})")

MAX_PORT = 65535

Targets = frozenset[str]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

logger = structlog.get_logger()


class Discovery(Protocol):
    """Tells which targets there are, each time that they change."""

    def targets(self) -> AsyncGenerator[Targets, None]:
        """host:port of each runtime, without an end."""
        ...


class ListedTargets:
    """Always the same."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._targets = frozenset(targets)

    async def targets(self) -> AsyncGenerator[Targets, None]:
        yield self._targets
        await asyncio.Event().wait()


class DnsTargets:
    """Each address of a name, as of a headless service. While the name cannot be resolved, the last ones stay."""

    def __init__(self, host: str, port: int, seconds: float, resolve: Resolve | None = None) -> None:
        self._host, self._port, self._seconds = host, port, seconds
        self._resolve = resolve or addresses

    async def targets(self) -> AsyncGenerator[Targets, None]:
        known: Targets | None = None
        while True:
            try:
                found = frozenset(await self._resolve(self._host, self._port))
            # the latter for what no name can look like
            except (OSError, UnicodeError) as error:
                logger.warning("runtimes not resolved", host=self._host, error=str(error))
            else:
                if found != known:
                    known = found
                    yield found
            await asyncio.sleep(self._seconds)


class AllTargets:
    """Of several discoveries together."""

    def __init__(self, parts: Sequence[Discovery]) -> None:
        self._parts = parts

    async def targets(self) -> AsyncGenerator[Targets, None]:
        found: list[Targets] = [frozenset() for _ in self._parts]
        news: asyncio.Queue[None] = asyncio.Queue()

        async def listen(index: int, part: Discovery) -> None:
            async for targets in part.targets():
                found[index] = targets
                news.put_nowait(None)

        tasks = [asyncio.create_task(listen(index, part)) for index, part in enumerate(self._parts)]
        try:
            while True:
                await _next(news, tasks)
                yield frozenset().union(*found)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _next(news: asyncio.Queue[None], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Returns at the next news. Raises what ended one of the tasks, which is a bug."""
    waiting = asyncio.create_task(news.get())
    try:
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        waiting.cancel()


async def addresses(host: str, port: int) -> Sequence[str]:
    """host:port of each address of a name. Raises OSError, and UnicodeError for what cannot be a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [to_address(str(address[0]), port) for _, _, _, _, address in found]


def discovery_of(targets: Sequence[str], seconds: float) -> Discovery:
    """Of ROUTER_TARGETS: host:port, dns:///name:port and k8s:///namespace/service:port, also mixed."""
    listed = [target for target in targets if TARGET.fullmatch(target)]
    parts: list[Discovery] = [ListedTargets(listed)] if listed else []
    for target in targets:
        if found := DNS.fullmatch(target):
            parts.append(DnsTargets(found["host"], int(found["port"]), seconds))
        elif found := KUBERNETES.fullmatch(target):
            # its client is large, and only this scheme needs it
            from router.replicas.kubernetes import KubernetesTargets

            parts.append(KubernetesTargets(found["namespace"], found["service"], int(found["port"])))
    return parts[0] if len(parts) == 1 else AllTargets(parts)


def is_target(text: str) -> bool:
    """Whether `discovery_of` knows it."""
    known = any(pattern.fullmatch(text) for pattern in (TARGET, DNS, KUBERNETES))
    return known and 0 < int(text.rpartition(":")[2]) <= MAX_PORT
