"""Where the policies of all tenants lie: one at a time is written, and everything is read at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha1
from typing import Protocol

from services.shared.redis.errors import StoreError

ETAG_DIGITS = 8


class PolicyExists(StoreError):
    """There is a policy of this tenant already."""


class NoPolicy(StoreError):
    """There is no policy of this tenant."""


class StaleEtag(StoreError):
    """Somebody else wrote this policy first."""


class StateMoved(StoreError):
    """Another policy was written since this change was checked: check it again."""


@dataclass(frozen=True)
class StoredPolicy:
    """A policy as it lies there: JSON that may not be one. `generation` is that of all policies after this write."""

    tenant: str
    content: str
    generation: int
    time_ms: int
    author: str

    @property
    def etag(self) -> str:
        """Differs from that of every other write, also when the store went back to a copy."""
        content = self.content.encode(errors="surrogateescape")
        digest = sha1(content, usedforsecurity=False).hexdigest()
        return f"{self.generation}-{digest[:ETAG_DIGITS]}"


@dataclass(frozen=True)
class Snapshot:
    """All policies as of one moment. `generation` counts the writes, deletions too; 0 is a store never written to."""

    generation: int
    policies: tuple[StoredPolicy, ...]

    def get(self, tenant: str) -> StoredPolicy | None:
        """The policy of a tenant."""
        return next((stored for stored in self.policies if stored.tenant == tenant), None)


@dataclass(frozen=True)
class Change:
    """One write. Without `etag` it creates; without `content` it deletes.

    `based_on` is the generation of the snapshot against which the change was checked.
    """

    tenant: str
    content: str | None
    etag: str
    based_on: int
    author: str
    action: str


@dataclass(frozen=True)
class AuditEntry:
    """Who wrote what. `number` is its place in the audit; `before` and `after` are JSON, empty where nothing was."""

    number: str
    time_ms: int
    author: str
    action: str
    tenant: str
    generation: int
    before: str
    after: str


@dataclass(frozen=True)
class Observation:
    """Which state a router goes by, as of `time_ms`."""

    router: str
    generation: int
    source: str
    problem: str
    time_ms: int = 0


class PolicyStore(Protocol):
    """Each method may also raise StoreUnavailable, StoreForbidden, and StoreFull when it writes."""

    async def snapshot(self) -> Snapshot:
        """Everything."""

    async def generation(self) -> int:
        """That of the snapshot."""

    async def seed(self, contents: Mapping[str, str], author: str) -> None:
        """Write all of these at once, by tenant, unless anything was ever written."""

    async def apply(self, change: Change) -> StoredPolicy | None:
        """What lies there now. Raises PolicyExists, NoPolicy, StaleEtag, StateMoved, in this order."""

    async def position(self) -> str:
        """Where to wait from."""

    async def changes(self, after: str, timeout_seconds: float) -> str:
        """The position behind the newest write, as soon as there is one after `after`; the same at the timeout."""

    async def audit(self, before: str, limit: int, tenant: str | None = None) -> tuple[AuditEntry, ...]:
        """Writes, newest first, from the one before number `before`, or from the newest; of one tenant, or of all."""

    async def observe(self, observation: Observation) -> None:
        """Tell all routers what this one goes by. Its time is the store's."""

    async def observations(self) -> tuple[Observation, ...]:
        """What all routers told lately, in the order of their names."""
