"""The tenants' policies as a router has them: what `router/main.py` builds once."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from router.budgets.limits import Limits
from router.identity import CallerResolver
from router.tenants.feed import FeedSettings, OnState, PolicyFeed
from router.tenants.redis_store import open_policy_store
from router.tenants.servicer import Explain, TenantBudgetServicer
from router.tenants.table import PolicyTable
from router.tenants.writing import PolicyWriter
from services.shared.redis.options import RedisOptions

# limits that a policy may hold, and that this router does not act upon so far
NOT_ENFORCED = (
    "requests_per_minute",
    "tokens_per_minute",
    "max_concurrent_requests",
    "max_resident_kv_tokens",
)
# looks that may fail before the state counts as no longer the store's
LOOKS = 3
# a store that hangs is told soon; one that is away is tried again by the feed
TIMEOUT_SECONDS, RETRIES = 4.0, 2


@dataclass(frozen=True)
class Tenants:
    """`table` answers, `feed` keeps it up to date while `feed.follow()` runs, `writer` writes."""

    table: PolicyTable
    feed: PolicyFeed
    writer: PolicyWriter

    def servicer(self, callers: CallerResolver, explain: Explain) -> TenantBudgetServicer:
        """The gRPC service."""
        return TenantBudgetServicer(self.feed, self.writer, callers, explain)


def build_tenants(
    builtin: Limits,
    settings: FeedSettings,
    redis: RedisOptions | None,
    on_state: OnState,
    aliases: Callable[[], Collection[str] | None],
) -> Tenants:
    """Connects to nothing yet. `on_state` is told whether the state is young enough, `aliases` those that exist."""
    table = PolicyTable(builtin, LOOKS * settings.poll_seconds + TIMEOUT_SECONDS)
    feed = PolicyFeed(table, settings, partial(open_policy_store, redis) if redis else None, on_state)
    return Tenants(table, feed, PolicyWriter(builtin, aliases, NOT_ENFORCED))


def policy_store_options(
    url: str, username: str | None, password: str | None, ca_file: str | None
) -> RedisOptions | None:
    """Of the router's settings; None without a URL. Raises ValueError for a wrong one."""
    if not url:
        return None
    return RedisOptions(url, username, password, ca_file, timeout_seconds=TIMEOUT_SECONDS, retries=RETRIES)
