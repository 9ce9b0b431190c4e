"""Scripts on a Redis that may be gone: nobody waits for it longer than agreed, and it is tried in the background."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import structlog

from services.shared.redis.commands import RedisCommands
from services.shared.redis.errors import StoreError

Connect = Callable[[], AbstractAsyncContextManager[RedisCommands]]
Prepare = Callable[[RedisCommands], Awaitable[None]]

logger = structlog.get_logger(__name__)


class Circuit:
    """Closed while Redis answers. `follow` must run; without it, or without a `connect`, Redis counts as gone."""

    def __init__(self, connect: Connect | None, wait_seconds: float, probe_seconds: float) -> None:
        self._connect, self._wait_seconds, self._probe_seconds = connect, wait_seconds, probe_seconds
        self._commands: RedisCommands | None = None
        self._broken = asyncio.Event()
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def closed(self) -> bool:
        """Whether Redis answered last."""
        return self._commands is not None

    async def script(self, name: str, keys: tuple[str, ...], *args: str | int) -> list[str] | None:
        """Its answer; None when Redis is gone."""
        if self._commands is None:
            return None
        self._calls += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await self._commands.script(name, keys, *args)
        except (StoreError, TimeoutError) as error:
            self._break(error)
            return None
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def follow(self, prepare: Prepare) -> None:
        """Connect, and again whenever Redis went away, until cancelled. Closed once `prepare` raised no StoreError."""
        if self._connect is None:
            # nothing will ever change
            await asyncio.Event().wait()
            return
        said = ""
        while True:
            try:
                async with self._connect() as commands:
                    # one that answers, but lets nothing be written, counts as gone
                    await prepare(commands)
                    said = ""
                    await self._serve(commands)
            except StoreError as error:
                # once, not each time that it is tried
                if str(error) != said:
                    logger.warning("quota_redis_away", error=str(error))
                said = str(error)
            finally:
                self._commands = None
            await asyncio.sleep(self._probe_seconds)

    async def _serve(self, commands: RedisCommands) -> None:
        """Until Redis goes away."""
        self._commands = commands
        logger.info("quota_redis_back")
        self._broken.clear()
        try:
            await self._broken.wait()
        finally:
            self._commands = None
            # a call that is tried again would open a connection that nobody closes
            await self._idle.wait()

    def _break(self, error: Exception) -> None:
        if self._commands is not None:
            logger.warning("quota_redis_gone", error=str(error) or type(error).__name__)
        self._commands = None
        self._broken.set()
