"""Quotas that hold over all routers, kept in Redis; within this router's share while Redis is gone."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from router.admission.base import Claim
from router.admission.circuit import Circuit
from router.admission.ledger import Ledger
from router.admission.refusals import HELD_SECONDS, Refusal, hopeless, limited, refused
from services.shared.redis.commands import RedisCommands

RENEWALS_PER_LEASE = 3
# of no tenant, whose name begins with a letter or digit
PROBE = "-"

Script = Callable[..., Coroutine[Any, Any, list[str] | None]]


@dataclass
class QuotaLease:
    """What was granted to one request, and what it used; see `Lease`."""

    granted_kv_tokens: int | None = None
    used_tokens: int | None = None


class RedisQuotas:
    """The `Quotas` of `base.py`. `follow` must run for as long as leases are held."""

    def __init__(self, circuit: Circuit, routers: Callable[[], int], lease_seconds: float) -> None:
        self._circuit, self._routers, self._lease_seconds = circuit, routers, lease_seconds
        self._ledger = Ledger()
        self._endings: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def hold(self, claim: Claim) -> AsyncIterator[QuotaLease]:
        """A lease until the end of the block. Raises ResourceExhausted, with RetryInfo when waiting can help."""
        lease = QuotaLease()
        if not limited(claim):
            yield lease
            return
        never = hopeless(claim)
        if never:
            raise refused(claim, never)
        name = uuid.uuid4().hex
        granted = await self._reserve(claim, name)
        if claim.limits.max_resident_kv_tokens is not None:
            lease.granted_kv_tokens = granted
        try:
            yield lease
        finally:
            self._end(claim.tenant, name, lease.used_tokens)

    @property
    def shared(self) -> bool:
        """Whether Redis answered last; else each router enforces its own share."""
        return self._circuit.closed

    async def follow(self) -> None:
        """Keep the connection, and the leases of this router, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._circuit.follow(self._introduce))
                tasks.create_task(self._renew_forever())
        finally:
            await asyncio.gather(*self._endings)

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / RENEWALS_PER_LEASE)
            self._ledger.forget_idle()
            await self.renew()

    async def _introduce(self, commands: RedisCommands) -> None:
        """What is held here is known before any request goes by this Redis. Raises StoreError, also when it is full."""
        probe = uuid.uuid4().hex
        await commands.script("renew", _keys(PROBE), self._lease_ms, probe, 0)
        await commands.script("release", _keys(PROBE), "", probe)
        await self._renew(commands.script)

    async def renew(self) -> None:
        """Once. What Redis has lost, or has not seen while it was gone, is in it again."""
        await self._renew(self._circuit.script)

    async def _renew(self, script: Script) -> None:
        for tenant, account in list(self._ledger.accounts.items()):
            held = dict(account.held)
            if not held:
                continue
            each = [item for name, of in held.items() for item in (name, of.kv_tokens)]
            await script("renew", _keys(tenant), self._lease_ms, *each)
            # those that ended meanwhile may have come back by that
            ended = tuple(name for name in held if name not in account.held)
            if ended:
                await script("release", _keys(tenant), "", *ended)

    @property
    def _lease_ms(self) -> int:
        return int(1000 * self._lease_seconds)

    async def _reserve(self, claim: Claim, name: str) -> int:
        limits = claim.limits
        most = (
            limits.requests_per_minute,
            limits.tokens_per_minute,
            limits.max_concurrent_requests,
            limits.max_resident_kv_tokens,
        )
        needs = (claim.tokens, claim.kv_tokens, claim.least_kv_tokens)
        texts = ["" if limit is None else limit for limit in most]
        held_ms = int(1000 * HELD_SECONDS)
        args = (name, self._lease_ms, *needs, *texts, held_ms)
        try:
            answer = await self._circuit.script("reserve", _keys(claim.tenant), *args)
        except asyncio.CancelledError:
            # Redis may have granted it
            self._end(claim.tenant, name, 0)
            raise
        match answer:
            case ["granted", granted]:
                self._ledger.enter(claim, name, int(granted))
                return int(granted)
            case ["refused", reason, limit, wait_ms]:
                raise refused(claim, Refusal(reason, int(limit), int(wait_ms) / 1000))
        return self._own_share(claim, name)

    def _own_share(self, claim: Claim, name: str) -> int:
        found = self._ledger.reserve(claim, name, self._routers())
        if isinstance(found, Refusal):
            raise refused(claim, found)
        return found

    def _end(self, tenant: str, name: str, used_tokens: int | None) -> None:
        """Give back what is not used. Nobody waits for it, also when Redis hangs."""
        self._ledger.leave(tenant, name, used_tokens)
        ending = asyncio.create_task(self._release(tenant, name, used_tokens))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _release(self, tenant: str, name: str, used_tokens: int | None) -> None:
        used = "" if used_tokens is None else used_tokens
        await self._circuit.script("release", _keys(tenant), used, name)


def _keys(tenant: str) -> tuple[str, str, str]:
    return f"quota:{{{tenant}}}:state", f"quota:{{{tenant}}}:leases", f"quota:{{{tenant}}}:ends"
