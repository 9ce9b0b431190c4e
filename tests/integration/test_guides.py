"""What the quickstart and the guide to tenants ask their readers to type."""

import re

import pytest

from router.api_keys import ApiKeys
from router.budgets.limits import Limits
from router.tenants.policy import LimitsPolicy
from router.tenants.yaml_file import read_policies
from tests.integration.clients import Client
from tests.ops.pages import blocks, broken_links, commands, read
from tests.ops.shell import run
from tests.processes import ROOT, ServerProcess


@pytest.fixture
async def router(redis_server, start_runtime, start_router) -> ServerProcess:
    started: ServerProcess = start_router(start_runtime().target, ROUTER_REDIS_URL=redis_server.url)
    async with Client(started.target) as client:
        await client.ready()
    return started


@pytest.mark.parametrize("name", ["quickstart.md", "tenants.md", "training.md", "troubleshooting.md"])
def test_every_link_leads_somewhere(name):
    assert broken_links(read(name), ROOT / "docs") == []


def test_the_quickstart_works_as_it_stands(router, tmp_path):
    page = read("quickstart.md")
    told = {command: run(command, tmp_path, LOOKAHEADKV_ROUTER=router.target) for command in commands(page)}
    assert len(told) == 7
    explained = next(text for command, text in told.items() if " explain " in command)
    assert "2048" in explained.replace(",", "")
    assert "ratio" in told[commands(page)[-1]]
    assert all(words in page for words in ("lookaheadkv serve", "LOOKAHEADKV_ROUTER="))


def test_the_guide_to_tenants_works_as_it_stands(router, tmp_path):
    page = read("tenants.md")
    told = {command: run(command, tmp_path, LOOKAHEADKV_ROUTER=router.target) for command in commands(page)}
    assert len(told) == 13
    assert "4096" in next(text for command, text in told.items() if command.endswith("--json"))
    assert set(read_policies(tmp_path / "tenants.yaml", Limits())) == {"cluster", "acme"}
    # as the last command leaves it
    assert "acme" not in run("lookaheadkv tenants list", tmp_path, LOOKAHEADKV_ROUTER=router.target)


def test_keys_are_those_whose_sum_the_guide_makes(tmp_path):
    page = read("tenants.md")
    (tmp_path / "keys.yaml").write_text(blocks(page, "yaml keys.yaml")[0])
    keys = ApiKeys.read(tmp_path / "keys.yaml")
    assert keys.resolve({"authorization": "Bearer a-long-random-key"}, "").tenant == "acme"
    assert run(commands(page)[0], tmp_path).split()[0] in (tmp_path / "keys.yaml").read_text()


def test_every_limit_is_explained():
    rows = re.findall(r"^\| (`.*?`) \|", read("tenants.md"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == LimitsPolicy.model_fields.keys()
