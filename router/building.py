"""The router's parts as its settings want them."""

import socket

from router.admission.build import QuotaSettings
from router.admission.fair_queue import FairQueue, QueueSettings
from router.api_keys import ApiKeys
from router.budgets.limits import LengthBucket, Limits
from router.http.parts import HttpOptions
from router.http.streaming import Pace
from router.identity import CallerResolver, SingleTenant
from router.latency.room import RoomRule
from router.replicas.discovery import Discovery, discovery_of
from router.replicas.outliers import OutlierSettings
from router.replicas.pool import PoolSettings, ReplicaPool
from router.retries import RetryBudget, RetrySettings
from router.runtime_client import RuntimeClient
from router.settings import RouterSettings
from router.tenants.build import policy_store_options
from router.tenants.feed import FeedSettings
from router.trusted_hop import TrustedHop
from services.shared.redis.options import RedisOptions


def builtin(settings: RouterSettings) -> Limits:
    """What holds where no budget of a tenant says otherwise."""
    return Limits(
        min_budget_tokens=settings.floor_tokens,
        default_keep_ratio=settings.keep_ratio,
        length_buckets=(LengthBucket(settings.shortest_budget_tokens, keep_ratio=1.0),),
    )


def rule_params(settings: RouterSettings) -> dict[str, dict[str, float]]:
    """Parameters of the budget rules."""
    slo = {"headroom_ratio": settings.slo_headroom_ratio, "room_ratio": settings.slo_room_ratio}
    load = {
        "start_ratio": settings.load_start_ratio,
        "end_ratio": settings.load_end_ratio,
        "least_ratio": settings.load_least_ratio,
    }
    return {"slo": slo, "load": load}


def feed_settings(settings: RouterSettings) -> FeedSettings:
    """How the tenants' budgets are followed."""
    return FeedSettings(
        settings.router_id or f"{socket.gethostname()}:{settings.port}",
        settings.policy_poll_seconds,
        settings.policy_max_age_seconds,
        settings.policy_seed_path,
        settings.policy_cache_path,
    )


def quota_settings(settings: RouterSettings) -> QuotaSettings:
    """How long quotas outlive their router, and wait for Redis."""
    return QuotaSettings(settings.quota_lease_seconds, settings.quota_wait_seconds)


def pool_settings(settings: RouterSettings) -> PoolSettings:
    """How runtimes are looked at, and when they are left alone."""
    outliers = OutlierSettings(
        failures=settings.outlier_failures,
        slow_factor=settings.outlier_slow_factor,
        first_seconds=settings.outlier_seconds,
        most_ratio=settings.outlier_most_ratio,
    )
    room = RoomRule(settings.queue_backlog_ratio)
    return PoolSettings(settings.load_poll_seconds, settings.silent_seconds, room, outliers)


def discovery(settings: RouterSettings) -> Discovery:
    """Where the runtimes are."""
    return discovery_of(settings.targets, settings.dns_seconds)


def connect(settings: RouterSettings, target: str) -> RuntimeClient:
    """The connection to a runtime."""
    return RuntimeClient(
        target, timeout_seconds=settings.load_timeout_seconds, keepalive_seconds=settings.keepalive_seconds
    )


def http_options(settings: RouterSettings) -> HttpOptions:
    """How the OpenAI-compatible API is served."""
    pace = Pace(settings.http_ping_seconds, settings.write_seconds)
    return HttpOptions(settings.max_message_bytes, settings.http_chat_tokens, pace, settings.http_docs)


def build_queue(settings: RouterSettings, pool: ReplicaPool) -> FairQueue:
    """The queue for room in this pool."""
    bounds = QueueSettings(settings.queue_max_waiting, settings.queue_max_waiting_per_tenant)
    queue = FairQueue(pool.has_room, bounds)
    pool.on_room(queue.wake)
    return queue


def retry_budget(settings: RouterSettings) -> RetryBudget:
    """How often requests are tried again."""
    return RetryBudget(RetrySettings(settings.retry_attempts, settings.retry_ratio))


def caller_resolver(settings: RouterSettings) -> CallerResolver:
    """Who is known to call. Raises ValueError or OSError for a file of keys that cannot be used."""
    known = ApiKeys.read(settings.api_keys_path) if settings.api_keys_path else SingleTenant()
    return TrustedHop(settings.trusted_networks, known) if settings.trusted_networks else known


def redis_options(settings: RouterSettings) -> RedisOptions | None:
    """The Redis of budgets and quotas; None without a URL. Raises ValueError for a wrong one."""
    password = settings.redis_password.get_secret_value() if settings.redis_password else None
    ca_file = str(settings.redis_ca_file) if settings.redis_ca_file else None
    return policy_store_options(settings.redis_url, settings.redis_username, password, ca_file)
