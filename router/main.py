"""The router process: builds everything once, serves until it is told to stop."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import grpc
import structlog
import uvloop

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from protos.router.v1 import tenant_budget_pb2, tenant_budget_pb2_grpc
from router.api_keys import ApiKeys
from router.budgets import load_rules
from router.budgets.limits import LengthBucket, Limits
from router.generation import Generation
from router.http.app import build_http
from router.http.chat_template import ChatTemplate
from router.http.parts import HttpOptions, HttpParts
from router.http.server import http_served
from router.http.streaming import Pace
from router.identity import CallerResolver, SingleTenant
from router.in_flight import InFlight
from router.replicas import Replica, ReplicaPool
from router.runtime_client import RuntimeClient
from router.servicer import GenerationServicer
from router.settings import RouterSettings
from router.tenants.build import build_tenants, policy_store_options
from router.tenants.feed import FeedSettings, PolicyFeed
from router.trusted_hop import TrustedHop
from services.shared.health import Health
from services.shared.interceptors import ErrorInterceptor, server_options
from services.shared.lifecycle import background, listen, stop_event_on_signals, stop_gracefully
from services.shared.logs import configure_logs
from services.shared.redis.options import RedisOptions
from services.shared.settings import load_settings, refuse_start
from services.shared.tokenizer import PromptTokenizer

logger = structlog.get_logger()

SERVICES = tuple(
    service.full_name
    for file in (generation_pb2, tenant_budget_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
POLICIES_FLAG = "tenant-policies"


@dataclass(frozen=True)
class Parts:
    """What answers requests, and who is known to ask."""

    tokenizer: PromptTokenizer
    callers: CallerResolver
    redis: RedisOptions | None
    chat_template: ChatTemplate | None


async def serve(settings: RouterSettings, parts: Parts) -> int:
    """The exit code: 0 after a signal, 1 when the runtimes or budgets are no longer watched, which is a bug."""
    stop = stop_event_on_signals()
    async with AsyncExitStack() as stack:
        pool, in_flight, server = _pool(settings, stack), InFlight(), _server(settings)
        health = Health(server, SERVICES, reflect=settings.reflection)
        show = partial(health.flag, POLICIES_FLAG)
        tenants = build_tenants(_builtin(settings), _feed(settings), parts.redis, show, lambda: pool.aliases)
        generation = Generation(parts.tokenizer, tenants.table, load_rules(_rules(settings)), pool, in_flight)
        generation_pb2_grpc.add_GenerationServiceServicer_to_server(
            GenerationServicer(generation, parts.callers), server
        )
        tenant_budget_pb2_grpc.add_TenantBudgetServiceServicer_to_server(
            tenants.servicer(parts.callers, generation.explain), server
        )
        port = await listen(server, settings.host, settings.port)
        await health.alive()
        logger.info("listening", host=settings.host, port=port)
        following = await stack.enter_async_context(background(tenants.feed.follow()))
        watching = await stack.enter_async_context(background(pool.follow()))
        stopped = await stack.enter_async_context(background(stop.wait()))
        await stack.enter_async_context(background(_follow_readiness(pool, tenants.feed, health)))
        http = HttpParts(generation, parts.callers, parts.chat_template, pool.limits, lambda: health.reason)
        app = build_http(http, _http(settings))
        await stack.enter_async_context(
            http_served(app, settings.host, settings.http_port, settings.http_write_seconds)
        )
        await asyncio.wait([following, watching, stopped], return_when=asyncio.FIRST_COMPLETED)
        await stop_gracefully(server, health, settings.shutdown_grace_seconds, in_flight.drain())
        return 0 if stopped.done() else 1


async def _follow_readiness(pool: ReplicaPool, feed: PolicyFeed, health: Health) -> None:
    await health.not_ready("the tenants' budgets are not known so far")
    await feed.wait_ready()
    while True:
        await pool.wait_until(usable=True)
        await health.ready()
        await pool.wait_until(usable=False)
        await health.not_ready("no runtime can take a request")


def _pool(settings: RouterSettings, stack: AsyncExitStack) -> ReplicaPool:
    replicas = []
    for target in settings.targets:
        client = RuntimeClient(
            target, timeout_seconds=settings.load_timeout_seconds, keepalive_seconds=settings.keepalive_seconds
        )
        stack.push_async_callback(client.close)
        replicas.append(Replica(client))
    return ReplicaPool(replicas, settings.load_poll_seconds)


def _server(settings: RouterSettings) -> grpc.aio.Server:
    return grpc.aio.server(
        interceptors=[ErrorInterceptor(settings.max_message_bytes)],
        options=server_options(settings.max_message_bytes),
    )


def _http(settings: RouterSettings) -> HttpOptions:
    pace = Pace(settings.http_ping_seconds, settings.http_write_seconds)
    return HttpOptions(settings.max_message_bytes, settings.http_chat_tokens, pace, settings.http_docs)


def _builtin(settings: RouterSettings) -> Limits:
    """What holds where no budget of a tenant says otherwise."""
    return Limits(
        min_budget_tokens=settings.floor_tokens,
        default_keep_ratio=settings.keep_ratio,
        length_buckets=(LengthBucket(settings.shortest_budget_tokens, keep_ratio=1.0),),
    )


def _feed(settings: RouterSettings) -> FeedSettings:
    return FeedSettings(
        settings.router_id or f"{socket.gethostname()}:{settings.port}",
        settings.policy_poll_seconds,
        settings.policy_max_age_seconds,
        settings.policy_seed_path,
        settings.policy_cache_path,
    )


def _rules(settings: RouterSettings) -> dict[str, dict[str, float]]:
    """Parameters of the budget rules."""
    slo = {"headroom_ratio": settings.slo_headroom_ratio, "room_ratio": settings.slo_room_ratio}
    load = {
        "start_ratio": settings.load_start_ratio,
        "end_ratio": settings.load_end_ratio,
        "least_ratio": settings.load_least_ratio,
    }
    return {"slo": slo, "load": load}


def _callers(settings: RouterSettings) -> CallerResolver:
    """Raises ValueError or OSError for a file of keys that cannot be used."""
    known = ApiKeys.read(settings.api_keys_path) if settings.api_keys_path else SingleTenant()
    return TrustedHop(settings.trusted_networks, known) if settings.trusted_networks else known


def _redis(settings: RouterSettings) -> RedisOptions | None:
    password = settings.redis_password.get_secret_value() if settings.redis_password else None
    ca_file = str(settings.redis_ca_file) if settings.redis_ca_file else None
    return policy_store_options(settings.redis_url, settings.redis_username, password, ca_file)


def main() -> None:
    settings = load_settings(RouterSettings)
    with refused("ROUTER_MODEL_PATH", settings.model_path):
        tokenizer = PromptTokenizer(settings.model_path)
        chat_template = ChatTemplate.read(settings.model_path, tokenizer)
    with refused("ROUTER_API_KEYS_PATH", settings.api_keys_path):
        callers = _callers(settings)
    with refused("ROUTER_REDIS_URL"):
        redis = _redis(settings)
    with refused("ROUTER_LOAD_START_RATIO"):
        load_rules(_rules(settings))
    configure_logs(settings.log_level)
    raise SystemExit(uvloop.run(serve(settings, Parts(tokenizer, callers, redis, chat_template))))


@contextmanager
def refused(variable: str, value: object = None) -> Iterator[None]:
    """What cannot be used ends the process with a sentence that names the variable."""
    try:
        yield
    except (ValueError, OSError) as error:
        shown = "" if value is None else f" is {str(value)!r}"
        refuse_start(f"{variable}{shown}: {error}")


if __name__ == "__main__":
    main()
