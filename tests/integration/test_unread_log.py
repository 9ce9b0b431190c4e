"""A process whose log nobody reads serves on."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.clients import Client, generate_request
from tests.processes import ROOT, free_port

# a line of each is more than any pipe takes
REQUESTS = 400


@pytest.fixture
def unread(start_runtime, tiny_model) -> Iterator[str]:
    """Where a router listens that writes into a pipe without a reader."""
    port = free_port()
    variables = {
        "ROUTER_PORT": str(port),
        "ROUTER_METRICS_PORT": "",
        "ROUTER_TARGETS": start_runtime().target,
        "ROUTER_MODEL_PATH": str(tiny_model),
    }
    command = [sys.executable, "-m", "router.main"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | variables, stderr=subprocess.PIPE) as router:
        yield f"127.0.0.1:{port}"
        router.kill()


async def test_a_log_that_nobody_reads_holds_up_no_request(unread):
    async with Client(unread) as client:
        await client.channel.channel_ready()
        await client.ready()
        for _ in range(REQUESTS):
            await client.answer(generate_request(10, 1))
