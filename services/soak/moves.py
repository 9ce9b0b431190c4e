"""Moves aliases at random, and publishes and deletes versions now and then, whatever happens to the store."""

import asyncio
import itertools
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from scorer.adapters.publishing import publish
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import AliasMoved, NotInStore, StoreUnavailable, UploadIncomplete, VersionInUse
from scorer.adapters.store_values import Alias, VersionId
from services.soak.history import History
from services.soak.plan import MOVED, Plan
from services.soak.versions import Versions

# how many there are between publishing and deleting
FEWEST, MOST = 4, 8
PUBLISH_SHARE, DELETE_SHARE = 0.05, 0.05
REFUSED_SECONDS = 0.1


@dataclass
class Counts:
    """What the mover did."""

    moves: int = 0
    refused: int = 0
    undone: int = 0
    published: int = 0
    deleted: int = 0


class Mover:
    """The only one that moves these aliases; `numbers` gives each version a number of its own."""

    def __init__(self, store: AdapterStore, versions: Versions, history: History, plan: Plan) -> None:
        self.counts = Counts()
        self.numbers = itertools.count(1)
        self.live: list[int] = []
        self._store = store
        self._versions = versions
        self._history = history
        self._plan = plan
        self._random = random.Random(plan.seed)
        self._aliases: dict[str, Alias] = {}
        self._mine: set[int] = set()
        self._half_published: int | None = None
        self._read_after_faults = 0
        self._unsure = False
        self._moved = asyncio.Condition()

    @property
    def pointed(self) -> Mapping[str, int]:
        """Where the aliases are, as far as is known."""
        return {name: alias.version for name, alias in self._aliases.items()}

    async def start(self) -> None:
        """The first versions, and each alias on one of them."""
        for _ in range(FEWEST):
            await self._publish()
        await self._read()
        for name in MOVED:
            await self._point(name, self._random.choice(self.live))
        self.counts.moves = 0

    async def made(self, count: int) -> None:
        """Returns when there are so many moves."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.counts.moves >= count)

    async def run(self) -> None:
        """As many moves as planned, each counted when the store has taken it."""
        while self.counts.moves < self._plan.moves:
            try:
                await self._step()
            except (StoreUnavailable, UploadIncomplete):
                self.counts.refused += 1
                self._unsure = True
                await asyncio.sleep(REFUSED_SECONDS)
            await asyncio.sleep(self._random.expovariate(1 / self._plan.pause_seconds))

    async def _step(self) -> None:
        if self._unsure or self._read_after_faults != self._history.faults:
            await self._read()
        choice = self._random.random()
        if self._half_published or len(self.live) < FEWEST or (choice < PUBLISH_SHARE and len(self.live) < MOST):
            await self._publish()
        elif choice > 1 - DELETE_SHARE and len(self.live) > FEWEST:
            await self._delete(self._random.choice(self.live))
        else:
            name = self._random.choice(MOVED)
            current = self._aliases[name].version
            await self._point(name, self._random.choice([number for number in self.live if number != current]))

    async def _point(self, name: str, number: int) -> None:
        before = self._aliases.get(name)
        self._history.may_point(name, number, time.monotonic())
        try:
            moved = await self._store.set_alias(
                self._versions.adapter, name, number, before.generation if before else 0
            )
        except (AliasMoved, NotInStore):
            # a crash took back what was read before it
            self._unsure = True
            return
        self._history.points(name, number, time.monotonic())
        self._aliases[name] = moved
        async with self._moved:
            self.counts.moves += 1
            self._moved.notify_all()

    async def _publish(self) -> None:
        number = self._half_published = self._half_published or next(self.numbers)
        files = await asyncio.to_thread(self._versions.make, number)
        self._history.publishing(number, time.monotonic())
        await publish(self._store, files.manifest, files.contents)
        self._half_published = None
        self._mine.add(number)
        self.live.append(number)
        self.counts.published += 1

    async def _delete(self, number: int) -> None:
        try:
            await self._store.delete_version(VersionId(self._versions.adapter, number))
        except VersionInUse:
            return
        except NotInStore:
            # done by a call without an answer
            pass
        self.live.remove(number)
        self.counts.deleted += 1

    async def _read(self) -> None:
        faults = self._history.faults
        here = {info.number for info in await self._store.versions(self._versions.adapter)}
        found = (await self._store.aliases(self._versions.adapter)).by_name
        at = time.monotonic()
        for name, alias in found.items():
            before = self._aliases.get(name)
            self.counts.undone += bool(before and alias.generation < before.generation)
            if name in MOVED:
                self._history.points(name, alias.version, at)
        self.live = sorted(self._mine & here)
        self._aliases = {name: alias for name, alias in found.items() if name in MOVED}
        self._read_after_faults, self._unsure = faults, False
