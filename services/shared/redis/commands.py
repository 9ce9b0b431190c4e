"""One command or script at a time, with the errors of Redis in the words of the store."""

import hashlib
from collections.abc import Coroutine
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple, Protocol, Self

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    RedisClusterException,
    RedisError,
)

from services.shared.redis.cancelling import cancelled_for_sure
from services.shared.redis.errors import StoreError, StoreForbidden, StoreFull, StoreUnavailable

# what Redis says instead of NOPERM, of a command inside a script, or one that a service renamed away
FORBIDDEN_WORDS = ("ACL failure", "unknown command", "can't run this command")


class RedisClient(Protocol):
    """What a connection to one server and one to a Cluster have in common."""

    def execute_command(self, *args: Any) -> Coroutine[Any, Any, Any]: ...


class RedisCommands:
    """Commands to `where`, retried by the client. A blocking one must end in `block_seconds`.

    `package` is the one whose folder `lua` has the scripts.
    """

    def __init__(self, client: RedisClient, where: str, timeout_seconds: float, package: str) -> None:
        self.where = where
        self.package = package
        # else the connection would be given up while Redis still waits, as agreed
        self.block_seconds = timeout_seconds / 2
        self._client = client
        self._timeout_seconds = timeout_seconds

    def of_package(self, package: str) -> Self:
        """The same connection, with the scripts of another package."""
        return type(self)(self._client, self.where, self._timeout_seconds, package)

    async def call(self, *args: Any) -> Any:
        """Its answer, strings as bytes. Raises StoreUnavailable, StoreFull, StoreForbidden."""
        try:
            return await cancelled_for_sure(self._client.execute_command(*args))
        except NoScriptError:
            raise
        except (RedisError, RedisClusterException, OSError) as error:
            raise _translated(error, str(args[0]), self.where) from error

    async def script(self, name: str, keys: tuple[str, ...], *args: Any) -> list[str]:
        """The answer of `lua/<name>.lua`, which is a list of strings."""
        found = script(self.package, name)
        try:
            answer = await self.call("EVALSHA", found.sha1, len(keys), *keys, *args)
        except NoScriptError:
            # the first time, and after each restart of the server
            answer = await self.call("EVAL", found.source, len(keys), *keys, *args)
        return [text(item) for item in answer]


class Script(NamedTuple):
    """A script, and the name by which Redis knows it."""

    source: str
    sha1: str


@lru_cache(maxsize=64)
def script(package: str, name: str) -> Script:
    """`lua/<name>.lua` of a package, with what all of its scripts share in front."""
    folder = files(package) / "lua"
    prelude = folder / "prelude.lua"
    source = (prelude.read_text() if prelude.is_file() else "") + (folder / f"{name}.lua").read_text()
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def text(answer: bytes | str) -> str:
    """A string of Redis."""
    return answer.decode() if isinstance(answer, bytes) else answer


def _translated(error: Exception, command: str, where: str) -> StoreError:
    said = str(error) or type(error).__name__
    if isinstance(error, OutOfMemoryError) or said.startswith("OOM "):
        return StoreFull(f"Redis at {where} is full ({command}: {said}); raise maxmemory, or delete what is not needed")
    if isinstance(error, AuthenticationError | AuthorizationError):
        return StoreForbidden(
            f"Redis at {where} refuses this user or password ({said}); set the right ones, e.g. in its URL as "
            "redis://user:password@host"
        )
    if isinstance(error, NoPermissionError) or any(words in said for words in FORBIDDEN_WORDS):
        return StoreForbidden(f"Redis at {where} forbids {command} ({said}); use a user with the rights for it")
    return StoreUnavailable(f"Redis at {where} does not answer {command} now ({said}); try again later")
