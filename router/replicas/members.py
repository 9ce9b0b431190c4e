"""Replicas come and go, as discovery tells."""

import asyncio
from collections.abc import Callable

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
        # each is set when its target has gone
        self._gone: dict[str, asyncio.Event] = {}

    async def follow(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            async for targets in self._discovery.targets():
                self._take(targets, tasks)

    def _take(self, targets: Targets, tasks: asyncio.TaskGroup) -> None:
        for target in sorted(targets - self._gone.keys()):
            logger.info("runtime found", target=target)
            self._gone[target] = asyncio.Event()
            tasks.create_task(self._serve(target, self._gone[target]))
        for target in sorted(self._gone.keys() - targets):
            logger.info("runtime gone", target=target)
            self._gone.pop(target).set()

    async def _serve(self, target: str, gone: asyncio.Event) -> None:
        client = self._connect(target)
        replica = Replica(client)
        self._pool.add(replica)
        try:
            async with asyncio.TaskGroup() as tasks:
                # to the end of its last call, for one that leaves may hang, too
                following = tasks.create_task(self._pool.follow(replica))
                await gone.wait()
                self._pool.remove(replica)
                await replica.idle()
                following.cancel()
        finally:
            await client.close()
