"""Runtimes as the ready endpoints of a Kubernetes service."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from structlog.testing import capture_logs

from router.replicas import kubernetes
from router.replicas.kubernetes import KubernetesTargets
from tests.integration.clients import until
from tests.integration.kubernetes_api import GONE, EndpointSlices, api_server, write_config
from tests.processes import free_port

PORT = 50052


def at(*addresses: str) -> frozenset[str]:
    return frozenset(f"{address}:{PORT}" for address in addresses)


@pytest.fixture
async def api(tmp_path, monkeypatch) -> AsyncGenerator[EndpointSlices, None]:
    monkeypatch.setattr(kubernetes, "RETRY_SECONDS", 0.01)
    async with api_server(tmp_path) as (slices, config):
        monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        yield slices


@pytest.fixture
async def targets(api) -> AsyncGenerator[AsyncGenerator[frozenset[str], None], None]:
    async with aclosing(KubernetesTargets("default", "runtimes", PORT).targets()) as targets:
        yield targets


async def following(targets: AsyncGenerator[frozenset[str], None]) -> frozenset[str]:
    async with asyncio.timeout(20):
        return await anext(targets)


async def watched(api: EndpointSlices, times: int = 1) -> None:
    async def watches() -> int:
        return api.watches

    await until(watches, lambda count: count >= times)


async def test_ready_endpoints_of_all_slices_are_the_targets_and_changes_are_followed(api, targets):
    api.put("one", ["10.0.0.1"], unready=["10.0.0.2"])
    api.put("two", ["10.0.0.3"])
    assert await following(targets) == at("10.0.0.1", "10.0.0.3")
    changing = asyncio.create_task(following(targets))
    await watched(api)
    api.put("one", ["10.0.0.1", "10.0.0.2"], kind="MODIFIED")
    assert await changing == at("10.0.0.1", "10.0.0.2", "10.0.0.3")
    api.delete("two")
    assert await following(targets) == at("10.0.0.1", "10.0.0.2")


@pytest.mark.parametrize(
    "fault",
    [EndpointSlices.end, lambda api: api.say({"type": "ERROR", "object": GONE}), lambda api: api.say("<html>")],
    ids=["watch ends", "version is too old", "line is no JSON"],
)
async def test_a_watch_that_ends_is_begun_again_and_the_last_targets_stay(api, targets, fault):
    api.put("one", ["10.0.0.1"])
    assert await following(targets) == at("10.0.0.1")
    changing = asyncio.create_task(following(targets))
    await watched(api)
    fault(api)
    await watched(api, times=2)
    assert not changing.done()
    api.put("one", ["10.0.0.9"], kind="MODIFIED")
    assert await changing == at("10.0.0.9")


async def test_an_api_that_fails_is_asked_again(api, targets):
    api.broken = True
    api.put("one", ["10.0.0.1"])
    with capture_logs() as logs:
        finding = asyncio.create_task(following(targets))

        async def said() -> bool:
            return bool(logs)

        await until(said, bool)
        api.broken = False
        assert await finding == at("10.0.0.1")
    assert logs[0]["event"] == "runtimes not watched" and logs[0]["service"] == "default/runtimes"


async def test_without_a_cluster_the_log_says_what_is_missing(tmp_path, monkeypatch):
    config = write_config(tmp_path, free_port())
    monkeypatch.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(config))
    with capture_logs() as logs:
        async with aclosing(KubernetesTargets("default", "runtimes", PORT).targets()) as targets:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await anext(targets)
    assert "Cannot connect to host 127.0.0.1" in logs[0]["error"]
