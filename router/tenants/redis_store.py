"""Policies in Redis 7 or Valkey. All keys lie in one hash slot: one script writes policy, event and audit."""

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from router.tenants.inheritance import resource_name
from router.tenants.redis_records import GENERATION, parse_audit, parse_observation, parse_record
from router.tenants.store import (
    AuditEntry,
    Change,
    NoPolicy,
    Observation,
    PolicyExists,
    Snapshot,
    StaleEtag,
    StateMoved,
    StoredPolicy,
)
from services.shared.redis.commands import RedisCommands, text
from services.shared.redis.connection import connect
from services.shared.redis.options import RedisOptions

# whose scripts these are
PACKAGE = "router.tenants"
POLICIES, EVENTS, AUDIT, ROUTERS = (f"{{tenants}}:{name}" for name in ("policies", "events", "audit", "routers"))
AUDIT_AT_ONCE = 500


@dataclass(frozen=True)
class PolicyStoreLimits:
    """How much history is kept, and how long a router is remembered that tells nothing."""

    max_events: int = 1000
    max_audit_entries: int = 10_000
    forget_router_seconds: float = 30.0


class RedisPolicyStore:
    """The `PolicyStore` in Redis."""

    def __init__(self, commands: RedisCommands, limits: PolicyStoreLimits) -> None:
        self._commands = commands
        self._limits = limits

    async def snapshot(self) -> Snapshot:
        records = {text(name): value for name, value in (await self._commands.call("HGETALL", POLICIES)).items()}
        stored = (parse_record(name, value) for name, value in sorted(records.items()) if not name.startswith(":"))
        return Snapshot(int(records.get(GENERATION, 0)), tuple(stored))

    async def apply(self, change: Change) -> StoredPolicy | None:
        kind = "delete" if change.content is None else "write"
        what = (change.tenant, change.content or "", change.etag, change.based_on, kind)
        status, *rest = await self._script("write", change.author, change.action, *what)
        _check(status, change, rest)
        return parse_record(change.tenant, rest[0]) if rest[0] else None

    async def generation(self) -> int:
        return int(await self._commands.call("HGET", POLICIES, GENERATION) or 0)

    async def seed(self, contents: Mapping[str, str], author: str) -> None:
        await self._script("seed", author, "import", *(part for item in contents.items() for part in item))

    async def position(self) -> str:
        newest = await self._commands.call("XREVRANGE", EVENTS, "+", "-", "COUNT", 1)
        return text(newest[0][0]) if newest else "0-0"

    async def changes(self, after: str, timeout_seconds: float) -> str:
        # BLOCK 0 would wait for ever
        block_ms = max(1, int(1000 * min(timeout_seconds, self._commands.block_seconds)))
        answer: Mapping[bytes, Any] = await self._commands.call("XREAD", "BLOCK", block_ms, "STREAMS", EVENTS, after)
        (entries,) = answer.values() if answer else ([],)
        return text(entries[-1][0]) if entries else after

    async def audit(self, before: str, limit: int, tenant: str | None = None) -> tuple[AuditEntry, ...]:
        found: list[AuditEntry] = []
        while len(found) < limit:
            end = f"({before}" if before else "+"
            entries = await self._commands.call("XREVRANGE", AUDIT, end, "-", "COUNT", AUDIT_AT_ONCE)
            parsed = [parse_audit(number, fields) for number, fields in entries]
            found += [entry for entry in parsed if tenant in (None, entry.tenant)]
            if len(entries) < AUDIT_AT_ONCE:
                break
            before = parsed[-1].number
        return tuple(found[:limit])

    async def observe(self, observation: Observation) -> None:
        told = json.dumps([observation.generation, observation.source, observation.problem])
        forget_ms = int(1000 * self._limits.forget_router_seconds)
        await self._commands.script("observe", (ROUTERS,), observation.router, told, forget_ms)

    async def observations(self) -> tuple[Observation, ...]:
        records = await self._commands.call("HGETALL", ROUTERS)
        return tuple(parse_observation(text(name), value) for name, value in sorted(records.items()))

    async def _script(self, name: str, author: str, action: str, *args: str | int) -> list[str]:
        # a call whose answer was lost is sent again, and must know its own work
        token, who = uuid.uuid4().hex, " ".join(author.split())
        kept = (self._limits.max_events, self._limits.max_audit_entries)
        return await self._commands.script(name, (POLICIES, EVENTS, AUDIT), token, who, action, *kept, *args)


@asynccontextmanager
async def open_policy_store(
    options: RedisOptions, limits: PolicyStoreLimits | None = None
) -> AsyncIterator[RedisPolicyStore]:
    """The store at `options.url`. Raises StoreUnavailable, StoreMisconfigured, and ValueError for a wrong URL."""
    async with connect(options, PACKAGE) as commands:
        yield RedisPolicyStore(commands, limits or PolicyStoreLimits())


def _check(status: str, change: Change, rest: list[str]) -> None:
    name = resource_name(change.tenant)
    if status == "exists":
        raise PolicyExists(f"{name}: exists; update it with its etag")
    if status == "missing":
        raise NoPolicy(f"{name}: does not exist; create it")
    if status == "stale":
        raise StaleEtag(f"{name}: was written since etag {change.etag!r} was read; read it and decide again")
    if status == "moved":
        raise StateMoved(f"{name}: other policies were written meanwhile, generation {rest[0]}; try again")
