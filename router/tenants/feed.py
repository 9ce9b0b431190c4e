"""How a router's table follows the store: events at once, a look now and then, and what is left while it is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from router.tenants.last_known import read_last_known, save_last_known
from router.tenants.store import Observation, PolicyStore
from router.tenants.table import REDIS, SEED, PolicyState, PolicyTable, state_of
from router.tenants.yaml_file import PolicyFileError, read_policies
from services.shared.errors import FailedPrecondition, ServiceError, Unavailable
from services.shared.redis.errors import StoreError, StoreMisconfigured

# a store that is back is used again after so long, at most
RETRY_SECONDS = 0.5
# so that a router that lives is never forgotten
OBSERVE_SECONDS = 5.0
NO_STORE = "ROUTER_REDIS_URL: is empty, so this router's budgets are those of its start; set it, e.g. redis://host:6379"
SEED_AUTHOR = "seed file"

# a write by hand, which is no event, is seen after so long
LOOK_SECONDS = 10.0

OpenStore = Callable[[], AbstractAsyncContextManager[PolicyStore]]
# told whether the state is young enough
OnState = Callable[[bool], Awaitable[None]]


@dataclass(frozen=True)
class FeedSettings:
    """`max_age_seconds`: a state that the store has not confirmed for longer is flagged, and served on."""

    router: str
    poll_seconds: float = 1.0
    max_age_seconds: float = 600.0
    seed_path: Path | None = None
    last_known_path: Path | None = None


class StoreEmpty(StoreError):
    """There were policies, and now there is nothing: rather the last known ones than no limits."""


class PolicyFeed:
    """Keeps a table up to date. Without `open_store` its state is the seed file, or nothing but the defaults."""

    def __init__(
        self, table: PolicyTable, settings: FeedSettings, open_store: OpenStore | None, on_state: OnState
    ) -> None:
        self.table = table
        self.router = settings.router
        # that lately told what they go by, this one included
        self.routers = 1
        self._settings = settings
        self._open_store = open_store
        self._on_state = on_state
        self._store: PolicyStore | None = None
        self._refusal: ServiceError = (
            Unavailable("connecting to the store of budget policies")
            if open_store
            else FailedPrecondition(NO_STORE, "NO_POLICY_STORE")
        )
        self._observed: tuple[float, Observation | None] = (0.0, None)
        self._ready = asyncio.Event()

    @property
    def generation(self) -> int:
        """Of the state that requests are decided by."""
        return self.table.generation

    @property
    def problem(self) -> str:
        """Why that is not the store's newest; empty when it is."""
        return self.table.problem

    @property
    def age_seconds(self) -> float:
        """Since the store last said that the table has its state; 0 without a store, for then nothing can change."""
        return self.table.age_seconds if self._open_store else 0.0

    @property
    def fresh(self) -> bool:
        """Whether requests can be decided, by a state that is young enough."""
        return self.table.ready and self.age_seconds <= self._settings.max_age_seconds

    def store(self) -> PolicyStore:
        """The store. Raises FailedPrecondition when there is none, Unavailable when it was not reached so far."""
        if self._store is None:
            raise self._refusal.with_traceback(None)
        return self._store

    def observation(self) -> Observation:
        """What this router goes by."""
        table = self.table
        return Observation(self.router, table.generation, table.source, table.problem)

    async def seen(self) -> tuple[Observation, ...]:
        """What all routers go by, as far as it is known. Raises StoreError."""
        return await self._store.observations() if self._store else ()

    async def wait_ready(self) -> None:
        """Returns when the table has a state."""
        await self._ready.wait()

    async def refresh(self) -> None:
        """Read the store now. Raises StoreError."""
        await self._look(self.store())

    async def follow(self) -> None:
        """Keep the table up to date until cancelled."""
        try:
            state = self._left_over()
        except PolicyFileError as error:
            state = None
            self.table.away(str(error))
        if self._open_store is None:
            if state or not self._settings.seed_path:
                self._take(state or PolicyState())
                self.table.confirm()
            await self._on_state(self.fresh)
            # nothing will ever change
            await asyncio.Event().wait()
            return
        if state:
            self._take(state)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._connect_for_ever(self._open_store))
            tasks.create_task(self._tell_age())

    async def _connect_for_ever(self, open_store: OpenStore) -> None:
        while True:
            try:
                async with open_store() as store:
                    self._store = store
                    await self._track_for_ever(store)
            except StoreError as error:
                wrong = isinstance(error, StoreMisconfigured)
                self._refusal = (
                    FailedPrecondition(str(error), "STORE_MISCONFIGURED") if wrong else Unavailable(str(error))
                )
                self.table.away(str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _track_for_ever(self, store: PolicyStore) -> None:
        while True:
            try:
                await self._track(store)
            except (StoreError, PolicyFileError) as error:
                # the client connects again by itself
                self.table.away(str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _track(self, store: PolicyStore) -> None:
        # first, so that every later write is still to come
        position = await store.position()
        await self._look(store)
        looked = time.monotonic()
        while True:
            newest = await store.changes(position, self._settings.poll_seconds)
            old = await store.generation() != self.table.generation
            if old or newest != position or time.monotonic() - looked > LOOK_SECONDS:
                await self._look(store)
                looked = time.monotonic()
            else:
                self.table.confirm()
            position = newest
            await self._observe(store)

    async def _look(self, store: PolicyStore) -> None:
        snapshot = await store.snapshot()
        if not snapshot.generation and not snapshot.policies:
            if self.table.generation:
                known = f"the last known generation is {self.table.generation}"
                raise StoreEmpty(f"the store has lost all policies, {known}, which is served on; import them again")
            await self._plant(store)
            snapshot = await store.snapshot()
        self._take(state_of(snapshot, self.table.policies))
        self.table.confirm()
        await self._observe(store)

    async def _plant(self, store: PolicyStore) -> None:
        if self._settings.seed_path:
            policies = read_policies(self._settings.seed_path, self.table.builtin)
            await store.seed({tenant: policy.to_json() for tenant, policy in policies.items()}, SEED_AUTHOR)

    async def _observe(self, store: PolicyStore) -> None:
        told_at, told = self._observed
        now = self.observation()
        if now != told or time.monotonic() - told_at > OBSERVE_SECONDS:
            await store.observe(now)
            self.routers = max(1, len(await store.observations()))
            self._observed = (time.monotonic(), now)

    async def _tell_age(self) -> None:
        while True:
            await self._on_state(self.fresh)
            await asyncio.sleep(self._settings.poll_seconds)

    def _left_over(self) -> PolicyState | None:
        """What was known before this start, for the time until the store answers."""
        path, seed = self._settings.last_known_path, self._settings.seed_path
        found = read_last_known(path) if path else None
        if found is None and seed:
            return PolicyState(0, read_policies(seed, self.table.builtin), SEED)
        return found

    def _take(self, state: PolicyState) -> None:
        changed = self.table.take(state)
        if self.table.ready:
            self._ready.set()
        path = self._settings.last_known_path
        if changed and path and state.source == REDIS and not state.damaged:
            save_last_known(path, state)
