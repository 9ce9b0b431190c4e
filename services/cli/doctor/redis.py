"""Redis: whether it answers, keeps what it has, and what its user may do there."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.cli.doctor.finding import Finding, Subject, ok, skipped, wrong
from services.shared.redis.commands import RedisCommands, text
from services.shared.redis.connection import connect
from services.shared.redis.errors import StoreError, StoreForbidden, StoreMisconfigured
from services.shared.redis.options import RedisOptions

SECONDS = 5.0
ALL_SECONDS = 20.0
OLDEST_REDIS = 7
TIME_SCRIPT = "return redis.call('TIME')[1]"


@dataclass(frozen=True)
class Use:
    """One of the things that are kept there, a key of its own to try with, and what a user needs for it."""

    name: str
    key: str
    rights: str


# as the READMEs of scorer/adapters, router/tenants and router/admission have them
USES = (
    Use("adapters", "adapter:{doctor}:probe", "~adapter:* +@read +@write +@connection +@scripting"),
    Use("budgets", "{tenants}:doctor", "~{tenants}:* +@read +@write +@connection +@scripting +time"),
    Use("quotas", "quota:{doctor}:probe", "~quota:* +@read +@write +@connection +@scripting +time"),
)


def redis(subject: Subject) -> Iterator[Finding]:
    """All of it, over one connection."""
    if not subject.redis_url:
        yield skipped("redis", "name it with --redis-url")
        return
    try:
        yield from asyncio.run(_redis(subject.redis_url))
    except TimeoutError:
        yield wrong("redis", f"did not answer in {ALL_SECONDS:g} s", "look at its load and at the network")
    except ValueError as error:
        yield wrong("redis", str(error), "correct the URL")
    except StoreMisconfigured as error:
        yield wrong("redis", str(error), "CONFIG SET maxmemory-policy noeviction, and the same in its configuration")
    except StoreForbidden as error:
        yield wrong("redis", str(error), "correct user and password, or give the user +@connection")
    except StoreError as error:
        yield wrong("redis", str(error), "start it, or name another one")


async def _redis(url: str) -> list[Finding]:
    """Raises StoreError, TimeoutError and ValueError."""
    options = RedisOptions(url, timeout_seconds=SECONDS, connect_timeout_seconds=SECONDS, retries=0)
    async with asyncio.timeout(ALL_SECONDS), connect(options, __package__) as commands:
        began = time.monotonic()
        await commands.call("PING")
        milliseconds = 1000 * (time.monotonic() - began)
        findings = [ok("redis", f"{options.without_secrets} answers in {milliseconds:.1f} ms and keeps what it has")]
        findings.append(_version(await _hello(commands)))
        return findings + [await _use(commands, use) for use in USES]


async def _hello(commands: RedisCommands) -> dict[str, str]:
    """What a server says of itself to any user; empty where it says nothing."""
    try:
        answer: Any = await commands.call("HELLO")
    except StoreError:
        return {}
    pairs = answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=False)
    return {text(name): text(value) for name, value in pairs if isinstance(value, bytes | str)}


def _version(hello: dict[str, str]) -> Finding:
    name, version = hello.get("server", "redis"), hello.get("version", "")
    major = version.partition(".")[0]
    if not major.isdecimal():
        return skipped("redis version", "the server does not say")
    if int(major) < OLDEST_REDIS:
        return wrong("redis version", f"{name} {version}", f"install Redis {OLDEST_REDIS} or Valkey")
    return ok("redis version", f"{name} {version}")


async def _use(commands: RedisCommands, use: Use) -> Finding:
    """Whether its keys may be written, and its scripts run."""
    name = f"redis {use.name}"
    try:
        await commands.call("SET", use.key, "1", "PX", 1000)
        await commands.call("EVAL", TIME_SCRIPT, 1, use.key)
        await commands.call("DEL", use.key)
    except StoreForbidden as error:
        return wrong(name, str(error), f"give the user {use.rights}, unless another one does this")
    return ok(name, "may be read and written")
