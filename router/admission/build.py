"""The quotas as a router has them: what `router/main.py` builds once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from router.admission.circuit import Circuit, Connect
from router.admission.redis_quotas import RedisQuotas
from services.shared.redis.connection import connect
from services.shared.redis.options import RedisOptions


@dataclass(frozen=True)
class QuotaSettings:
    """Seconds that a lease outlives its router, that a request waits for Redis, and between tries to reach it again."""

    lease_seconds: float = 30.0
    wait_seconds: float = 0.25
    probe_seconds: float = 1.0


def build_quotas(
    redis: RedisOptions | None, settings: QuotaSettings, routers: Callable[[], int] = lambda: 1
) -> RedisQuotas:
    """Quotas that hold over all routers while `follow()` runs, and over this one without a Redis.

    `routers` tells how many share them while Redis is gone. A Redis that is gone delays nothing.
    """
    circuit = Circuit(_connect(redis, settings), settings.wait_seconds, settings.probe_seconds)
    return RedisQuotas(circuit, routers, settings.lease_seconds)


def _connect(redis: RedisOptions | None, settings: QuotaSettings) -> Connect | None:
    if redis is None:
        return None
    patience = settings.wait_seconds
    options = replace(redis, timeout_seconds=patience, connect_timeout_seconds=patience, retries=1)
    return partial(connect, options, __package__)
