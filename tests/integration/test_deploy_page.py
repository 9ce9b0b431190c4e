"""What docs/deploy.md tells operators to type works, with the rights that it gives."""

import re

import pytest
import redis

from protos.generation.v1 import generation_pb2
from tests.chart.rendering import HELM
from tests.engine.adapters import random_adapter
from tests.integration.clients import Client, generate_request, until
from tests.ops.pages import blocks, broken_links, commands, read
from tests.ops.shell import run
from tests.processes import ROOT

PAGE = read("deploy.md")
HELM_COMMANDS = [line for line in commands(PAGE) if line.startswith("helm ")]
OWN_COMMANDS = [line for line in commands(PAGE) if line.startswith("lookaheadkv ")]


def test_every_command_is_run_here():
    assert sorted(HELM_COMMANDS + OWN_COMMANDS) == sorted(commands(PAGE))
    assert len(HELM_COMMANDS) > 2 and len(OWN_COMMANDS) > 5


def test_every_link_leads_somewhere():
    assert broken_links(PAGE, ROOT / "docs") == []


@pytest.mark.parametrize("command", HELM_COMMANDS)
def test_the_chart_takes_the_values_of_the_page(command, tmp_path):
    if not HELM.is_file():
        pytest.skip("there is no build/tools/helm; make chart gets it")
    (tmp_path / "values.yaml").write_text(blocks(PAGE, "yaml values.yaml")[0])
    (tmp_path / "helm").symlink_to(ROOT / "helm")
    # without a cluster nothing can be installed
    without_cluster = " --dry-run=client" if command.startswith("helm install") else ""
    said = run(f"{command}{without_cluster}", tmp_path)
    if not command.startswith("helm lint"):
        assert "rediss://redis.example:6380" in said
        # what clients are told to call
        (name,) = re.findall(r"dns:///(\S+)\.serving:50050", PAGE)
        assert f"  name: {name}\n" in said


def evicted() -> generation_pb2.GenerateRequest:
    """What an adapter scores, although all keep half and 256 tokens."""
    request = generate_request(1000, 2, budget_tokens=300)
    request.kv.policy = "lookahead"
    return request


@pytest.fixture
def users(redis_server):
    """A Redis with the users of the page; the URL of each by name."""
    (rights,) = blocks(PAGE, "redis")
    with redis_server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "test-admin", "on", "nopass", "~*", "&*", "+@all")
        admin.execute_command("AUTH", "test-admin", "any")
        for line in rights.splitlines():
            admin.execute_command(*line.split())
        yield {
            line.split()[2]: redis_server.url.replace("//", f"//{line.split()[2]}:PASSWORD@")
            for line in rights.splitlines()
        }
        admin.execute_command("ACL", "SETUSER", "default", "on")


async def test_the_commands_work_with_the_rights_of_the_page(
    users, start_runtime, start_scorer, start_router, tiny_model, tmp_path
):
    random_adapter(tiny_model, tmp_path / "adapter")
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=users["lookaheadkv-scorer"])
    runtime = start_runtime(RUNTIME_SCORER_TARGET=scorer.target)
    router = start_router(runtime.target, ROUTER_REDIS_URL=users["lookaheadkv-router"])
    async with Client(router.target) as client:
        await client.ready()
        told = [
            run(
                command,
                tmp_path,
                LOOKAHEADKV_ROUTER=router.target,
                LOOKAHEADKV_REDIS_URL=users["lookaheadkv-publisher"],
            )
            for command in OWN_COMMANDS
        ]
        assert "2048" in told[2]
        # what was published comes all the way, with rights to read alone
        await until(lambda: client.answer(evicted()), lambda answer: answer[1].kv.adapter_version > 0)
    assert not [event for event in scorer.events + router.events if event["level"] == "error"]


def test_nobody_may_do_what_is_another_ones(users):
    forbidden = {
        "lookaheadkv-scorer": (("SET", "adapter:x", "1"), ("GET", "{tenants}:policies")),
        "lookaheadkv-router": (("GET", "adapter:x"), ("FLUSHALL",)),
        "lookaheadkv-publisher": (("GET", "{tenants}:policies"), ("CONFIG", "GET", "maxmemory")),
    }
    for name, attempts in forbidden.items():
        with redis.Redis.from_url(users[name]) as client:
            assert client.ping()
            for attempt in attempts:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*attempt)
    with redis.Redis.from_url(users["lookaheadkv-router"].replace("lookaheadkv-router:PASSWORD@", "")) as client:
        with pytest.raises(redis.exceptions.AuthenticationError):
            client.ping()
