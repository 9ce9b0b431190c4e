"""The feeds of all models that runtimes have asked about."""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator

from scorer.adapters.cache import AdapterCache
from scorer.registry.connection import StoreConnection
from scorer.registry.model_feed import LocalAliases, ModelFeed
from services.shared.errors import InvalidArgument, ResourceExhausted, Violation
from services.shared.lifecycle import log_failure

# a sidecar has one runtime beside it
MAX_MODELS = 8
FINGERPRINT = re.compile(r"[0-9a-f]{32}")


class AdapterFeeds:
    """Started when a model is first asked about, and kept, so that a runtime that comes back has its state at once."""

    def __init__(
        self, connection: StoreConnection, cache: AdapterCache, main_adapter: str, poll_seconds: float
    ) -> None:
        self._connection = connection
        self._cache = cache
        self._main_adapter = main_adapter
        self._poll_seconds = poll_seconds
        self._feeds: dict[str, ModelFeed] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def states(self, fingerprint: str) -> AsyncGenerator[LocalAliases, None]:
        """Of the adapters for this model, at once when it is known, and after each change; empty without a registry.

        Raises InvalidArgument for what is no fingerprint, ResourceExhausted for one too many.
        """
        if not FINGERPRINT.fullmatch(fingerprint):
            raise InvalidArgument(
                Violation("model_fingerprint", f"{fingerprint[:64]!r} is not one; send 32 hex digits, as GetModelInfo")
            )
        if fingerprint not in self._feeds:
            if len(self._feeds) >= MAX_MODELS:
                raise ResourceExhausted(f"this sidecar follows {MAX_MODELS} models already; ask that of the runtime")
            self._feeds[fingerprint] = self._start(fingerprint)
        return self._feeds[fingerprint].states()

    def known(self) -> Iterator[tuple[str, LocalAliases]]:
        """Each model's fingerprint with its aliases, as far as they are known."""
        for fingerprint, feed in self._feeds.items():
            yield fingerprint, feed.aliases

    async def close(self) -> None:
        """Follow nothing any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, fingerprint: str) -> ModelFeed:
        feed = ModelFeed(fingerprint, self._cache, self._main_adapter, self._poll_seconds)
        if self._connection.configured:
            task = asyncio.create_task(feed.follow(self._connection))
            task.add_done_callback(log_failure)
            self._tasks.append(task)
        else:
            feed.settle()
        return feed
