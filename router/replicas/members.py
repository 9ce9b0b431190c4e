"""Replicas come and go, as discovery tells."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from router.replicas.discovery import Discovery, Targets
from router.replicas.pool import ReplicaPool
from router.replicas.replica import Replica
from router.runtime_client import RuntimeClient

logger = structlog.get_logger()


class Members:
    """Keeps a pool at what there is. One that has gone gets no more requests, and finishes those that it has."""

    def __init__(self, pool: ReplicaPool, discovery: Discovery, connect: Callable[[str], RuntimeClient]) -> None:
        self._pool = pool
        self._discovery = discovery
        self._connect = connect
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def follow(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            async for targets in self._discovery.targets():
                self._take(targets, tasks)

    def _take(self, targets: Targets, tasks: asyncio.TaskGroup) -> None:
        for target in sorted(targets - self._tasks.keys()):
            logger.info("runtime found", target=target)
            self._tasks[target] = tasks.create_task(self._serve(target))
        for target in sorted(self._tasks.keys() - targets):
            logger.info("runtime gone", target=target)
            self._tasks.pop(target).cancel()

    async def _serve(self, target: str) -> None:
        client = self._connect(target)
        replica = Replica(client)
        self._pool.add(replica)
        try:
            # only a target that has gone cancels this
            with suppress(asyncio.CancelledError):
                await self._pool.follow(replica)
            self._pool.remove(replica)
            await replica.idle()
        finally:
            await client.close()
