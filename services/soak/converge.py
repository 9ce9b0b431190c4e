"""How soon what the runtime tells of itself, and answers, follow a move of an alias."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence

import grpc

from protos.runtime.v1 import runtime_pb2, runtime_pb2_grpc
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import AliasMoved, NotInStore, StoreUnavailable
from scorer.adapters.store_values import AdapterId
from services.soak.history import History, Seen
from services.soak.load import Load
from services.soak.plan import WAIT_SECONDS

POLL_SECONDS = 0.02


class Follower:
    """Moves aliases that nobody else moves, and waits until they are followed."""

    def __init__(
        self, store: AdapterStore, adapter: AdapterId, history: History, load: Load, channel: grpc.aio.Channel
    ) -> None:
        self._store = store
        self._adapter = adapter
        self._history = history
        self._load = load
        self._runtime = runtime_pb2_grpc.RuntimeServiceStub(channel)

    async def move(self, alias: str, among: Callable[[], Sequence[int]], chosen: random.Random) -> int:
        """Move the alias to another of these, as soon as the store takes it; returns which. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                try:
                    return await self._try_move(alias, among(), chosen)
                except (StoreUnavailable, NotInStore, AliasMoved):
                    await asyncio.sleep(POLL_SECONDS)

    async def followed(self, alias: str, version: int) -> Seen:
        """The first answer by this version after the runtime's own list named it. Raises TimeoutError."""
        async with asyncio.timeout(WAIT_SECONDS):
            await self._listed(alias, version)
            while True:
                seen = await self._load.ask(alias)
                if seen and seen.version == version:
                    return seen
                await asyncio.sleep(POLL_SECONDS)

    async def _try_move(self, alias: str, among: Sequence[int], chosen: random.Random) -> int:
        now = (await self._store.aliases(self._adapter)).by_name.get(alias)
        if now:
            self._history.points(alias, now.version, time.monotonic())
        # the only one, where a move without an answer was made
        version = chosen.choice([number for number in among if now is None or number != now.version] or list(among))
        self._history.may_point(alias, version, time.monotonic())
        moved = await self._store.set_alias(self._adapter, alias, version, now.generation if now else 0)
        self._history.points(alias, moved.version, time.monotonic())
        return version

    async def _listed(self, alias: str, version: int) -> None:
        while True:
            info = await self._runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
            found = {known.name: known for known in info.aliases}.get(alias)
            if found and found.adapter.version == version and not found.problem:
                return
            await asyncio.sleep(POLL_SECONDS)
