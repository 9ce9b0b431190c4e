"""The router process: builds everything once, serves until it is told to stop."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import grpc
import structlog
import uvloop
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from protos.router.v1 import tenant_budget_pb2, tenant_budget_pb2_grpc
from router.assembly import Router, assemble
from router.budgets import load_rules
from router.building import caller_resolver, http_options, redis_options, rule_params
from router.http.app import build_http
from router.http.chat_template import ChatTemplate
from router.http.parts import HttpParts
from router.http.server import http_served
from router.identity import CallerResolver
from router.metrics.requests import RequestMetrics
from router.metrics.state import policy_metrics, quota_metrics, replica_metrics
from router.replicas.pool import ReplicaPool
from router.request_log import RequestLog
from router.request_record import Requests
from router.request_spans import RequestSpans
from router.servicer import GenerationServicer
from router.settings import RouterSettings
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
        server = _server(settings)
        health = Health(server, SERVICES, reflect=settings.reflection)
        router = assemble(settings, parts.tokenizer, parts.redis, partial(health.flag, POLICIES_FLAG))
        tracer = await stack.enter_async_context(traces_sent(parts.tracing, SERVICE))
        requests, metrics = _observed(settings, tracer, router)
        await stack.enter_async_context(metrics_served(metrics, settings.host, settings.metrics_port))
        _serve_on(server, router, parts, requests)
        keep_what_is_built()
        port = await listen(server, settings.host, settings.port)
        await health.alive()
        logger.info("listening", host=settings.host, port=port)
        works = (router.tenants.feed.follow(), router.members.follow(), router.quotas.follow(), stop.wait())
        tasks = [await stack.enter_async_context(background(work)) for work in works]
        await stack.enter_async_context(background(_follow_readiness(router.pool, router.tenants.feed, health)))
        await stack.enter_async_context(_http(settings, router, parts, requests, health))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await stop_gracefully(server, health, settings.shutdown_grace_seconds, router.in_flight.drain())
        # the signal is the last one
        return 0 if tasks[-1].done() else 1


def _serve_on(server: grpc.aio.Server, router: Router, parts: Parts, requests: Requests) -> None:
    generation_pb2_grpc.add_GenerationServiceServicer_to_server(
        GenerationServicer(router.generation, parts.callers, requests), server
    )
    tenant_budget_pb2_grpc.add_TenantBudgetServiceServicer_to_server(
        router.tenants.servicer(parts.callers, router.generation.explain), server
    )


def _http(
    settings: RouterSettings, router: Router, parts: Parts, requests: Requests, health: Health
) -> AbstractAsyncContextManager[None]:
    """The OpenAI-compatible API, where there is a port for it."""
    served = HttpParts(
        router.generation, parts.callers, requests, parts.chat_template, router.pool.limits, lambda: health.reason
    )
    app = build_http(served, http_options(settings))
    return http_served(app, settings.host, settings.http_port, settings.write_seconds)


def _observed(settings: RouterSettings, tracer: Tracer, router: Router) -> tuple[Requests, CollectorRegistry]:
    """What begins the record of each request, and what is counted of them and of this router."""
    registry = CollectorRegistry()
    counted = RequestMetrics(registry, settings.metrics_max_tenants)
    replicas = partial(replica_metrics, lambda: router.pool.replicas)
    policies = partial(policy_metrics, router.tenants.feed)
    quotas = partial(quota_metrics, lambda: router.quotas.shared)
    registry.register(LoopCollector(asyncio.get_running_loop(), counted.in_flight, replicas, policies, quotas))
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
        interceptors=[ErrorInterceptor(settings.max_message_bytes, settings.write_seconds)],
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
