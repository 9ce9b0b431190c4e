"""The sidecar's connection to the store of adapters: it may be away at the start, and come back."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

import structlog

from scorer.adapters.redis_store import open_redis_store
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import StoreError, StoreMisconfigured
from services.shared.errors import FailedPrecondition, ServiceError, Unavailable
from services.shared.redis.options import RedisOptions

# a store that is back is used again after so long, at most
CHECK_SECONDS = 1.0
NO_REGISTRY = "SCORER_REDIS_URL: is empty, so this sidecar has no adapter registry; set it, e.g. redis://host:6379"

logger = structlog.get_logger(__name__)

ItemT = TypeVar("ItemT")
# told whether the store answers
OnState = Callable[[bool], Awaitable[None]]


class StoreConnection:
    """Holds the store while it can be reached."""

    def __init__(self, options: RedisOptions | None, on_state: OnState) -> None:
        self._options = options
        self._on_state = on_state
        self._store: AdapterStore | None = None
        self._refusal: ServiceError = (
            FailedPrecondition(NO_REGISTRY, "NO_REGISTRY")
            if options is None
            else Unavailable("connecting to the store")
        )
        self._reason = ""
        self._closed = asyncio.Event()

    @property
    def configured(self) -> bool:
        """Whether there is a registry at all."""
        return self._options is not None

    @property
    def answers(self) -> bool:
        """Whether the store did when it was last asked."""
        return self._store is not None and not self._reason

    def close(self) -> None:
        """End everything that would not end by itself."""
        self._closed.set()

    async def until_closed(self, items: AsyncGenerator[ItemT, None]) -> AsyncGenerator[ItemT, None]:
        """The same items, until `close`."""
        closing = asyncio.create_task(self._closed.wait())
        following = None
        try:
            while not closing.done():
                following = asyncio.create_task(_next(items))
                await asyncio.wait({following, closing}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    yield following.result()
        finally:
            waiting = [task for task in (closing, following) if task]
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await items.aclose()

    def store(self) -> AdapterStore:
        """The store. Raises FailedPrecondition when there is none, Unavailable when it was not reached so far."""
        if self._store is None:
            raise self._refusal.with_traceback(None)
        return self._store

    async def follow(self) -> None:
        """Connect, and tell whether the store answers, until cancelled."""
        while self._options is not None:
            try:
                async with open_redis_store(self._options) as store:
                    self._store = store
                    await self._check(store)
            except StoreError as error:
                await self._lost(error)
            await asyncio.sleep(CHECK_SECONDS)

    async def _check(self, store: AdapterStore) -> None:
        while True:
            try:
                await store.adapters(limit=1)
                await self._back()
            except StoreError as error:
                # calls still try: the client connects again by itself
                await self._lost(error)
            await asyncio.sleep(CHECK_SECONDS)

    async def _back(self) -> None:
        if self._reason:
            logger.info("adapter store answers again")
        self._reason = ""
        await self._on_state(True)

    async def _lost(self, error: StoreError) -> None:
        wrong = isinstance(error, StoreMisconfigured)
        self._refusal = FailedPrecondition(str(error), "STORE_MISCONFIGURED") if wrong else Unavailable(str(error))
        if str(error) != self._reason:
            logger.warning("adapter store does not answer", reason=str(error))
        self._reason = str(error)
        await self._on_state(False)


async def _next(items: AsyncIterator[ItemT]) -> ItemT:
    # a coroutine, which a task needs
    return await anext(items)
