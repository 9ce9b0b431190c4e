"""Connections to one Redis server, to the master that Sentinel names, or to a Cluster."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff

from services.shared.redis.commands import RedisCommands
from services.shared.redis.errors import StoreForbidden, StoreMisconfigured
from services.shared.redis.options import RedisOptions

REQUIRED_POLICY = "noeviction"

logger = structlog.get_logger(__name__)


@asynccontextmanager
async def connect(options: RedisOptions, package: str) -> AsyncIterator[RedisCommands]:
    """Commands to a Redis, with the scripts of `package`. Raises StoreMisconfigured when it would delete keys."""
    options = options.with_credentials_of_url()
    client, sentinel = _client(options)
    try:
        commands = RedisCommands(client, options.without_secrets, options.timeout_seconds, package)
        # so that a wrong password is not taken for a missing right
        await commands.call("PING")
        await check_policy(commands)
        yield commands
    finally:
        await client.aclose()
        for watcher in sentinel.sentinels if sentinel else ():
            await watcher.aclose()


async def check_policy(commands: RedisCommands) -> None:
    """Raises StoreMisconfigured when a full Redis would delete keys; warns when it does not tell."""
    try:
        answer = await commands.call("CONFIG GET", "maxmemory-policy")
    except StoreForbidden as error:
        # managed services forbid the command, and so do the rights of a reader
        logger.warning("redis_policy_unknown", required=REQUIRED_POLICY, error=str(error))
        return
    policy = answer.get("maxmemory-policy") if isinstance(answer, dict) else None
    if policy is None:
        logger.warning("redis_policy_unknown", required=REQUIRED_POLICY, error="CONFIG GET gives no answer")
    elif policy != REQUIRED_POLICY:
        raise StoreMisconfigured(
            f"maxmemory-policy: is {policy!r} at {commands.where}, so a full Redis would delete what it keeps; "
            f"set it: CONFIG SET maxmemory-policy {REQUIRED_POLICY}, and in redis.conf"
        )


def _client(options: RedisOptions) -> tuple[Redis | RedisCluster, Sentinel | None]:
    common: dict[str, Any] = {
        "username": options.username,
        "password": options.password,
        "socket_connect_timeout": options.connect_timeout_seconds,
        "socket_timeout": options.timeout_seconds,
        "retry": _retry(options),
        "protocol": 3,
        "legacy_responses": False,
    }
    match options.kind:
        case "cluster":
            nodes = [ClusterNode(host, port) for host, port in options.hosts]
            return RedisCluster(startup_nodes=nodes, **common, **_tls(options)), None
        case "sentinel":
            sentinel = Sentinel(options.hosts, **common, **_tls(options))
            return sentinel.master_for(options.service), sentinel
    tls: dict[str, Any] = {"ssl_ca_certs": options.ca_file} if options.tls and options.ca_file else {}
    return Redis.from_url(options.url, **common, **tls), None


def _retry(options: RedisOptions) -> Retry:
    waits = ExponentialWithJitterBackoff(cap=options.longest_wait_seconds, base=options.first_wait_seconds)
    return Retry(waits, options.retries)


def _tls(options: RedisOptions) -> dict[str, Any]:
    if not options.tls:
        return {}
    return {"ssl": True, "ssl_ca_certs": options.ca_file}
