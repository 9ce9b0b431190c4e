"""Metrics are served from their start to their end, or not at all."""

import asyncio
import urllib.error
import urllib.request

import pytest
import structlog
from prometheus_client import CollectorRegistry, Counter

from services.shared.metrics import metrics_served


def read(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        return response.read().decode()


async def test_metrics_are_read_while_served_and_not_afterwards():
    registry = CollectorRegistry()
    Counter("cups", "Cups.", registry=registry).inc(3)
    with structlog.testing.capture_logs() as logs:
        async with metrics_served(registry, "127.0.0.1", 0):
            (line,) = logs
            text = await asyncio.to_thread(read, line["port"])
    assert (line["event"], line["host"]) == ("metrics", "127.0.0.1")
    assert text.splitlines() == ["# HELP cups_total Cups.", "# TYPE cups_total counter", "cups_total 3.0"]
    with pytest.raises(urllib.error.URLError):
        await asyncio.to_thread(read, line["port"])


async def test_no_port_serves_nothing():
    with structlog.testing.capture_logs() as logs:
        async with metrics_served(CollectorRegistry(), "127.0.0.1", None):
            assert logs == []


async def test_taken_port_is_named():
    with structlog.testing.capture_logs() as logs:
        async with metrics_served(CollectorRegistry(), "127.0.0.1", 0):
            port = logs[0]["port"]
            with pytest.raises(SystemExit, match=f"cannot serve metrics on 127.0.0.1:{port}; choose another"):
                async with metrics_served(CollectorRegistry(), "127.0.0.1", port):
                    pass
