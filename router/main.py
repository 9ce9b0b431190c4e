"""The router process: builds everything once, serves until it is told to stop."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import grpc
import structlog
import uvloop

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from router.budgets import kv_budget, load_rules
from router.budgets.base import Budget, BudgetRequest
from router.in_flight import InFlight
from router.replicas import Replica, ReplicaPool
from router.runtime_client import RuntimeClient
from router.servicer import GenerationServicer
from router.settings import RouterSettings
from router.tenants import SingleTenant
from services.shared.health import Health
from services.shared.interceptors import ErrorInterceptor, server_options
from services.shared.lifecycle import background, listen, stop_event_on_signals, stop_gracefully
from services.shared.logs import configure_logs
from services.shared.settings import load_settings, refuse_start
from services.shared.tokenizer import PromptTokenizer

logger = structlog.get_logger()

SERVICES = tuple(service.full_name for service in generation_pb2.DESCRIPTOR.services_by_name.values())


async def serve(settings: RouterSettings, tokenizer: PromptTokenizer) -> int:
    """The exit code: 0 after a signal, 1 when the runtimes are no longer watched, which is a bug."""
    stop = stop_event_on_signals()
    async with AsyncExitStack() as stack:
        pool, in_flight = _pool(settings, stack), InFlight()
        server = _server(settings, GenerationServicer(tokenizer, SingleTenant(), _budget(settings), pool, in_flight))
        health = Health(server, SERVICES, reflect=settings.reflection)
        port = await listen(server, settings.host, settings.port)
        await health.alive()
        logger.info("listening", host=settings.host, port=port)
        watching = await stack.enter_async_context(background(pool.follow()))
        stopped = await stack.enter_async_context(background(stop.wait()))
        await stack.enter_async_context(background(_follow_readiness(pool, health)))
        await asyncio.wait([watching, stopped], return_when=asyncio.FIRST_COMPLETED)
        await stop_gracefully(server, health, settings.shutdown_grace_seconds, in_flight.drain())
        return 1 if watching.done() else 0


async def _follow_readiness(pool: ReplicaPool, health: Health) -> None:
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


def _server(settings: RouterSettings, servicer: GenerationServicer) -> grpc.aio.Server:
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor(settings.max_message_bytes)],
        options=server_options(settings.max_message_bytes),
    )
    generation_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)
    return server


def _budget(settings: RouterSettings) -> Callable[[BudgetRequest], Budget]:
    prompt_length = {
        "keep_ratio": settings.keep_ratio,
        "shortest_budget_tokens": settings.shortest_budget_tokens,
    }
    rules = load_rules({"prompt_length": prompt_length})
    return partial(kv_budget, rules=rules, floor_tokens=settings.floor_tokens)


def main() -> None:
    settings = load_settings(RouterSettings)
    try:
        tokenizer = PromptTokenizer(settings.model_path)
    except FileNotFoundError as error:
        refuse_start(f"ROUTER_MODEL_PATH is {str(settings.model_path)!r}: {error}")
    configure_logs(settings.log_level)
    raise SystemExit(uvloop.run(serve(settings, tokenizer)))


if __name__ == "__main__":
    main()
