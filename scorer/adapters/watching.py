"""All adapters for one model: their state now, then each change, whatever happens to the store."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import structlog

from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import EventsLost, StoreUnavailable
from scorer.adapters.store_values import AdapterId, Aliases, StoreEvent, VersionInfo

# a new adapter is seen after so long, at most
RELIST_SECONDS = 2.0
RETRY_SECONDS = 0.5

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class AdapterState:
    """An adapter at one moment."""

    adapter: AdapterId
    versions: tuple[VersionInfo, ...]
    aliases: Aliases


@dataclass(frozen=True)
class Change:
    """New events of an adapter, and its state, which may be later than they are."""

    state: AdapterState
    events: tuple[StoreEvent, ...]


async def read_state(store: AdapterStore, adapter: AdapterId, fingerprint: str | None = None) -> AdapterState:
    """An adapter with its aliases and its versions, or only those for this model."""
    # first, so that every later event is still to come
    aliases = await store.aliases(adapter)
    versions = await store.versions(adapter)
    return AdapterState(
        adapter, tuple(info for info in versions if fingerprint in (None, info.model_fingerprint)), aliases
    )


class Watch:
    """Follows the adapters of one model."""

    def __init__(self, store: AdapterStore, fingerprint: str, relist_seconds: float = RELIST_SECONDS) -> None:
        self._store = store
        self._fingerprint = fingerprint
        self._relist_seconds = relist_seconds
        self._seen: dict[AdapterId, int] = {}
        self._told: dict[AdapterId, AdapterState] = {}

    async def updates(self) -> AsyncGenerator[tuple[AdapterState, ...] | Change, None]:
        """All states first, and again when events or data were lost or the store was away; in between, each change.

        Raises StoreUnavailable only before the first state.
        """
        yield await self._all()
        while True:
            try:
                changes = await self._changes()
                for change in changes:
                    yield change
                if not changes and await self._differs():
                    yield await self._all()
            except EventsLost:
                yield await self._all_once_there()
            except StoreUnavailable as error:
                logger.warning("adapters cannot be followed now", reason=str(error))
                yield await self._all_once_there()

    async def _all_once_there(self) -> tuple[AdapterState, ...]:
        while True:
            try:
                return await self._all()
            except StoreUnavailable:
                await asyncio.sleep(RETRY_SECONDS)

    async def _all(self) -> tuple[AdapterState, ...]:
        states = [await self._read(adapter) for adapter in await self._list()]
        self._seen = {state.adapter: state.aliases.revision for state in states}
        self._told = {state.adapter: state for state in states}
        return tuple(states)

    async def _differs(self) -> bool:
        """Whether the store is not as it was told of, though no event says so.

        A Redis that lost its last second in a crash, and got as many events again, says nothing to a reader of events.
        """
        return any([await self._read(adapter) != state for adapter, state in self._told.items()])

    async def _changes(self) -> list[Change]:
        for adapter in await self._list():
            self._seen.setdefault(adapter, 0)
        return [await self._change(adapter, events) for adapter, events in await self._events()]

    async def _change(self, adapter: AdapterId, events: tuple[StoreEvent, ...]) -> Change:
        change = Change(await self._read(adapter), events)
        self._seen[adapter] = events[-1].number
        self._told[adapter] = change.state
        return change

    async def _events(self) -> list[tuple[AdapterId, tuple[StoreEvent, ...]]]:
        """The next events of those adapters that have some first; none after a while."""
        tasks = {
            adapter: asyncio.create_task(self._store.events(adapter, seen, self._relist_seconds))
            for adapter, seen in self._seen.items()
        }
        try:
            if tasks:
                await _until_one_has_events(set(tasks.values()))
            else:
                await asyncio.sleep(self._relist_seconds)
            return [(adapter, task.result()) for adapter, task in tasks.items() if task.done() and task.result()]
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _list(self) -> list[AdapterId]:
        found: list[AdapterId] = []
        page = await self._store.adapters(self._fingerprint)
        found += page.adapters
        while page.next_after:
            page = await self._store.adapters(self._fingerprint, page.next_after)
            found += page.adapters
        return found

    async def _read(self, adapter: AdapterId) -> AdapterState:
        return await read_state(self._store, adapter, self._fingerprint)


async def _until_one_has_events(tasks: set[asyncio.Task[tuple[StoreEvent, ...]]]) -> None:
    # those without time out together; a command that is cancelled costs its connection
    waiting = tasks
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if any(task.exception() or task.result() for task in done):
            return
