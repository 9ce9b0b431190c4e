"""What a router is made of, put together once."""

from dataclasses import dataclass
from functools import partial

from router.admission.build import build_quotas
from router.admission.redis_quotas import RedisQuotas
from router.budgets import load_rules
from router.building import (
    build_queue,
    builtin,
    connect,
    discovery,
    feed_settings,
    pool_settings,
    quota_settings,
    retry_budget,
    rule_params,
)
from router.dispatch import Dispatch
from router.generation import Admission, Generation
from router.in_flight import InFlight
from router.preparation import Preparation
from router.replicas.members import Members
from router.replicas.pool import ReplicaPool
from router.settings import RouterSettings
from router.tenants.build import Tenants, build_tenants
from router.tenants.feed import OnState
from services.shared.redis.options import RedisOptions
from services.shared.tokenizer import PromptTokenizer


@dataclass(frozen=True)
class Router:
    """`generation` answers while `members`, `tenants.feed` and `quotas` follow what changes around them."""

    pool: ReplicaPool
    members: Members
    tenants: Tenants
    quotas: RedisQuotas
    in_flight: InFlight
    generation: Generation


def assemble(
    settings: RouterSettings, tokenizer: PromptTokenizer, redis: RedisOptions | None, on_policies: OnState
) -> Router:
    """Connects to nothing yet. `on_policies` is told whether the tenants' budgets are young enough."""
    pool, in_flight = ReplicaPool(settings=pool_settings(settings)), InFlight()
    tenants = build_tenants(builtin(settings), feed_settings(settings), redis, on_policies, lambda: pool.aliases)
    quotas = build_quotas(redis, quota_settings(settings), lambda: tenants.feed.routers)
    admission = Admission(in_flight, quotas, build_queue(settings, pool))
    generation = Generation(
        Preparation(tokenizer, tenants.table, pool.limits),
        admission,
        tenants.table,
        load_rules(rule_params(settings)),
        pool,
        Dispatch(pool, admission.queue, retry_budget(settings)),
    )
    members = Members(pool, discovery(settings), partial(connect, settings))
    return Router(pool, members, tenants, quotas, in_flight, generation)
