"""The router process: builds everything once, serves until it is told to stop."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import grpc
import structlog
import uvloop
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from protos.router.v1 import tenant_budget_pb2, tenant_budget_pb2_grpc
from router.admission.build import build_quotas
from router.budgets import load_rules
from router.building import (
    build_queue,
    builtin,
    caller_resolver,
    connect,
    discovery,
    feed_settings,
    http_options,
    pool_settings,
    quota_settings,
    redis_options,
    retry_budget,
    rule_params,
)
from router.dispatch import Dispatch
from router.generation import Admission, Generation
from router.http.app import build_http
from router.http.chat_template import ChatTemplate
from router.http.parts import HttpParts
from router.http.server import http_served
from router.identity import CallerResolver
from router.in_flight import InFlight
from router.metrics.requests import RequestMetrics
from router.metrics.state import policy_metrics, replica_metrics
from router.preparation import Preparation
from router.replicas.members import Members
from router.replicas.pool import ReplicaPool
from router.request_log import RequestLog
from router.request_record import Requests
from router.request_spans import RequestSpans
from router.servicer import GenerationServicer
from router.settings import RouterSettings
from router.tenants.build import build_tenants
from router.tenants.feed import PolicyFeed
from services.shared.health import Health
from services.shared.interceptors import ErrorInterceptor, server_options
from services.shared.lifecycle import background, keep_what_is_built, listen, stop_event_on_signals, stop_gracefully
from services.shared.logs import configure_logs
from services.shared.metrics import LoopCollector, metrics_served
from services.shared.redis.options import RedisOptions
from services.shared.settings import load_settings, refuse_start
from services.shared.tokenizer import PromptTokenizer
from services.shared.tracing.sending import traces_sent
from services.shared.tracing.settings import TracingSettings

logger = structlog.get_logger()

SERVICES = tuple(
    service.full_name
    for file in (generation_pb2, tenant_budget_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)
POLICIES_FLAG = "tenant-policies"
# of the process, in traces
SERVICE = "lookaheadkv-router"


@dataclass(frozen=True)
class Parts:
    """What answers requests, and who is known to ask."""

    tokenizer: PromptTokenizer
    callers: CallerResolver
    redis: RedisOptions | None
    tracing: TracingSettings
    chat_template: ChatTemplate | None


async def serve(settings: RouterSettings, parts: Parts) -> int:
    """The exit code: 0 after a signal, 1 when the runtimes or budgets are no longer watched, which is a bug."""
    stop = stop_event_on_signals()
    async with AsyncExitStack() as stack:
        pool, in_flight, server = ReplicaPool(settings=pool_settings(settings)), InFlight(), _server(settings)
        members = Members(pool, discovery(settings), partial(connect, settings))
        health = Health(server, SERVICES, reflect=settings.reflection)
        show = partial(health.flag, POLICIES_FLAG)
        tenants = build_tenants(builtin(settings), feed_settings(settings), parts.redis, show, lambda: pool.aliases)
        quotas = build_quotas(parts.redis, quota_settings(settings), lambda: tenants.feed.routers)
        admission = Admission(in_flight, quotas, build_queue(settings, pool))
        preparation = Preparation(parts.tokenizer, tenants.table, pool.limits)
        rules, dispatch = load_rules(rule_params(settings)), Dispatch(pool, admission.queue, retry_budget(settings))
        generation = Generation(preparation, admission, tenants.table, rules, pool, dispatch)
        tracer = await stack.enter_async_context(traces_sent(parts.tracing, SERVICE))
        requests, metrics = _observed(settings, tracer, pool, tenants.feed)
        await stack.enter_async_context(metrics_served(metrics, settings.host, settings.metrics_port))
        generation_pb2_grpc.add_GenerationServiceServicer_to_server(
            GenerationServicer(generation, parts.callers, requests), server
        )
        tenant_budget_pb2_grpc.add_TenantBudgetServiceServicer_to_server(
            tenants.servicer(parts.callers, generation.explain), server
        )
        keep_what_is_built()
        port = await listen(server, settings.host, settings.port)
        await health.alive()
        logger.info("listening", host=settings.host, port=port)
        following = await stack.enter_async_context(background(tenants.feed.follow()))
        watching = await stack.enter_async_context(background(members.follow()))
        counting = await stack.enter_async_context(background(quotas.follow()))
        stopped = await stack.enter_async_context(background(stop.wait()))
        await stack.enter_async_context(background(_follow_readiness(pool, tenants.feed, health)))
        http = HttpParts(generation, parts.callers, requests, parts.chat_template, pool.limits, lambda: health.reason)
        app = build_http(http, http_options(settings))
        await stack.enter_async_context(
            http_served(app, settings.host, settings.http_port, settings.http_write_seconds)
        )
        await asyncio.wait([following, watching, counting, stopped], return_when=asyncio.FIRST_COMPLETED)
        await stop_gracefully(server, health, settings.shutdown_grace_seconds, in_flight.drain())
        return 0 if stopped.done() else 1


def _observed(
    settings: RouterSettings, tracer: Tracer, pool: ReplicaPool, feed: PolicyFeed
) -> tuple[Requests, CollectorRegistry]:
    """What begins the record of each request, and what is counted of them and of this router."""
    registry = CollectorRegistry()
    counted = RequestMetrics(registry, settings.metrics_max_tenants)
    replicas, policies = partial(replica_metrics, lambda: pool.replicas), partial(policy_metrics, feed)
    registry.register(LoopCollector(asyncio.get_running_loop(), counted.in_flight, replicas, policies))
    return Requests((counted, RequestLog(), RequestSpans()), tracer), registry


async def _follow_readiness(pool: ReplicaPool, feed: PolicyFeed, health: Health) -> None:
    await health.not_ready("the tenants' budgets are not known so far")
    await feed.wait_ready()
    while True:
        await pool.wait_until(usable=True)
        await health.ready()
        await pool.wait_until(usable=False)
        await health.not_ready("no runtime can take a request")


def _server(settings: RouterSettings) -> grpc.aio.Server:
    return grpc.aio.server(
        interceptors=[ErrorInterceptor(settings.max_message_bytes)],
        options=server_options(settings.max_message_bytes),
    )


def main() -> None:
    settings = load_settings(RouterSettings)
    with refused("ROUTER_MODEL_PATH", settings.model_path):
        tokenizer = PromptTokenizer(settings.model_path)
        chat_template = ChatTemplate.read(settings.model_path, tokenizer)
    with refused("ROUTER_API_KEYS_PATH", settings.api_keys_path):
        callers = caller_resolver(settings)
    with refused("ROUTER_REDIS_URL"):
        redis = redis_options(settings)
    with refused("ROUTER_LOAD_START_RATIO"):
        load_rules(rule_params(settings))
    configure_logs(settings.log_level, beside=True)
    parts = Parts(tokenizer, callers, redis, load_settings(TracingSettings), chat_template)
    raise SystemExit(uvloop.run(serve(settings, parts)))


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
