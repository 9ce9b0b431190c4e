"""What runs already: Redis, and our own processes."""

import asyncio
import time
from collections.abc import Iterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli.doctor.finding import Finding, Subject, ok, skipped, wrong
from services.shared.redis.connection import connect
from services.shared.redis.errors import StoreError, StoreForbidden
from services.shared.redis.options import RedisOptions

SECONDS = 5.0
KEY = "quota:{doctor}:state"
RIGHTS = "give the user the rights that the READMEs of scorer/adapters, router/tenants and router/admission name"
SERVICES = ("lookaheadkv.generation.v1.GenerationService", "lookaheadkv.scorer.v1.ScoringConfigService")


def redis(subject: Subject) -> Iterator[Finding]:
    """Whether it answers, keeps what it has, and lets us write."""
    if not subject.redis_url:
        yield skipped("redis", "name it with --redis-url")
        return
    try:
        yield ok("redis", asyncio.run(_redis(subject.redis_url)))
    except ValueError as error:
        yield wrong("redis", str(error), "correct the URL")
    except StoreForbidden as error:
        yield wrong("redis", str(error), RIGHTS)
    except StoreError as error:
        yield wrong("redis", str(error), "start it, or name another one")


async def _redis(url: str) -> str:
    """Raises StoreError and ValueError."""
    options = RedisOptions(url, timeout_seconds=SECONDS, connect_timeout_seconds=SECONDS, retries=0)
    async with connect(options, __package__) as commands:
        began = time.monotonic()
        await commands.call("PING")
        milliseconds = 1000 * (time.monotonic() - began)
        await commands.call("SET", KEY, "1", "PX", 1000)
        await commands.call("DEL", KEY)
    return f"{options.without_secrets} answers in {milliseconds:.1f} ms, keeps what it has, and may be written"


def servers(subject: Subject) -> Iterator[Finding]:
    """What their health says."""
    if not subject.servers:
        yield skipped("servers", "name routers, runtimes and scorers with --server")
    for target in subject.servers:
        yield _server(target)


def _server(target: str) -> Finding:
    name = f"server {target}"
    with grpc.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
            states = {service: _state(stub, service) for service in SERVICES}
        except grpc.RpcError as error:
            sentence = f"{error.code().name}: {error.details()}"
            return wrong(name, sentence, "start it, or name its gRPC port; its log says why it is not there")
    if "serving" not in states.values():
        return wrong(name, "lives, and is not ready", "its log says why; a model may still be loading")
    return ok(name, "is ready")


def _state(stub: health_pb2_grpc.HealthStub, service: str) -> str:
    """Empty for a service of another process."""
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return ""
        raise
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status).lower()
