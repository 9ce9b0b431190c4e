"""The adapters of one model on the local disk, kept as the store's aliases have them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from scorer.adapters.cache import AdapterCache, CachedAdapter, CacheFull
from scorer.adapters.errors import AdapterError, AdapterMismatch
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import NotInStore, StoreError
from scorer.adapters.store_values import AdapterId
from scorer.adapters.watching import AdapterState, Change, Watch
from scorer.registry.aliases import Target, alias_targets
from scorer.registry.connection import StoreConnection
from services.shared.errors import ServiceError

RETRY_SECONDS = 0.5
# of one version, after which its alias stays with the one before
REFUSALS = (AdapterError, CacheFull, NotInStore)

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LocalAlias:
    """What an alias serves with; with a `problem` that is not the version it points at, or none."""

    adapter: CachedAdapter | None
    problem: str = ""
    share: float = 0.0


LocalAliases = Mapping[str, LocalAlias]


class ModelFeed:
    """The last good state, and whoever waits for the next one."""

    def __init__(self, fingerprint: str, cache: AdapterCache, main_adapter: str, poll_seconds: float) -> None:
        self._fingerprint = fingerprint
        self._cache = cache
        self._main_adapter = main_adapter
        self._poll_seconds = poll_seconds
        self._states: dict[AdapterId, AdapterState] = {}
        self._aliases: LocalAliases | None = None
        self._changed = asyncio.Event()

    @property
    def aliases(self) -> LocalAliases:
        """What is known so far."""
        return self._aliases or {}

    async def states(self) -> AsyncGenerator[LocalAliases, None]:
        """The state when it is known, and again after each change; a slow reader skips some."""
        seen: LocalAliases | None = None
        while True:
            changed = self._changed
            if self._aliases is not None and self._aliases != seen:
                seen = self._aliases
                yield seen
            else:
                await changed.wait()

    async def follow(self, connection: StoreConnection) -> None:
        """Keep the state current, whatever happens to the store, until cancelled."""
        reason = ""
        while True:
            try:
                await self._follow_until_poll(connection.store())
                reason = ""
            except (StoreError, ServiceError) as error:
                if str(error) != reason:
                    logger.warning("adapters stay as they are", reason=str(error), model=self._fingerprint)
                reason = str(error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _follow_until_poll(self, store: AdapterStore) -> None:
        poll_at = time.monotonic() + self._poll_seconds
        async with aclosing(Watch(store, self._fingerprint).updates()) as updates:
            while (left := poll_at - time.monotonic()) > 0:
                try:
                    async with asyncio.timeout(left):
                        update = await anext(updates)
                except TimeoutError:
                    return
                self._take(update)
                await self._fetch(store)

    def settle(self, aliases: LocalAliases | None = None) -> None:
        """This is the state from now on; none is that of a model without adapters."""
        self._aliases = aliases or {}
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _take(self, update: tuple[AdapterState, ...] | Change) -> None:
        if isinstance(update, Change):
            self._states[update.state.adapter] = update.state
        else:
            self._states = {state.adapter: state for state in update}

    async def _fetch(self, store: AdapterStore) -> None:
        before: LocalAliases = self._aliases or {}
        after: dict[str, LocalAlias] = {}
        targets = alias_targets(self._states.values(), self._main_adapter)
        for name, target in targets.items():
            # another model's alias, unless it was this one's
            if not target.for_model and name not in before:
                continue
            after[name] = await self._alias(store, name, target, before.get(name))
            self._pin(*before.values(), *after.values())
        self._pin(*after.values())
        if after != self._aliases:
            logger.info("adapters", aliases={name: str(targets[name].version) for name in after})
            self.settle(after)

    async def _alias(self, store: AdapterStore, name: str, target: Target, before: LocalAlias | None) -> LocalAlias:
        try:
            if not target.for_model:
                raise AdapterMismatch("it is for another model; move the alias to a version for this one")
            return LocalAlias(await self._cache.get(store, target.version), share=target.share)
        except REFUSALS as error:
            problem = f"{target.version} cannot be used: {error}"
        last = before.adapter if before else None
        if before is None or before.problem != problem:
            logger.error("adapter refused", alias=name, reason=problem, instead=str(last.version) if last else "none")
        return LocalAlias(last, problem, target.share)

    def _pin(self, *aliases: LocalAlias) -> None:
        self._cache.pin(self._fingerprint, [alias.adapter for alias in aliases if alias.adapter])
