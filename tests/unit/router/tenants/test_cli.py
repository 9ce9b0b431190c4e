"""`lookaheadkv tenants`: what it takes, prints and refuses, against the API on a real port."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
import yaml
from structlog.testing import capture_logs
from typer.testing import CliRunner

from router.cli.group import COMMANDS
from services.cli.main import build_app
from tests.budget_api import budget_api, opens
from tests.fakes import MemoryPolicyStore


class Commands:
    """Runs `lookaheadkv tenants ...` on a thread, while the router serves on the loop."""

    def __init__(self, target, store):
        self.target = target
        self.store = store

    async def __call__(self, *args, key="root"):
        env = {"LOOKAHEADKV_ROUTER": self.target, "LOOKAHEADKV_API_KEY": key}
        return await asyncio.to_thread(CliRunner().invoke, build_app(), ["tenants", *map(str, args)], env=env)

    async def answer(self, *args):
        result = await self(*args, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@asynccontextmanager
async def commands():
    store = MemoryPolicyStore()
    # else the router's log would be in what the command prints
    with capture_logs():
        async with budget_api(opens(store)) as api:
            await api.feed.wait_ready()
            yield Commands(api.target, store)


async def test_set_makes_changes_and_clears():
    async with commands() as run:
        made = await run.answer("set", "acme", "max_budget_tokens=2048", "ttft_seconds=2", "priority=interactive")
        assert made["limits"] == {"max_budget_tokens": 2048, "ttft_seconds": 2.0, "priority": "interactive"}
        assert (made["tenant"], made["updated_by"]) == ("acme", "root")
        changed = await run.answer("set", "acme", "ttft_seconds=", "adapter_aliases=news,law/canary")
        assert changed["limits"] == {
            "max_budget_tokens": 2048,
            "priority": "interactive",
            "adapter_aliases": ["news", "law/canary"],
        }
        assert await run.answer("get", "acme") == changed
        buckets = await run.answer("set", "cluster", "length_buckets=[{max_prompt_tokens: 9, keep_ratio: 0.5}]")
        assert buckets["limits"]["length_buckets"] == [{"max_prompt_tokens": 9, "keep_ratio": 0.5}]
        assert [item["tenant"] for item in await run.answer("list")] == ["cluster", "acme"]
        await run.answer("delete", "acme")
        assert (await run("get", "acme")).exit_code == 1


async def test_a_dry_run_writes_nothing():
    async with commands() as run:
        await run.answer("set", "acme", "weight=2")
        before = await run.store.snapshot()
        assert (await run.answer("set", "acme", "weight=3", "--dry-run"))["limits"] == {"weight": 3.0}
        await run.answer("set", "beta", "weight=3", "--dry-run")
        await run.answer("delete", "acme", "--dry-run")
        assert await run.store.snapshot() == before


async def test_explain_shows_limits_origins_and_the_decision():
    async with commands() as run:
        await run.answer("set", "acme", "max_budget_tokens=1000")
        answer = await run.answer("explain", "acme", "--prompt-tokens", 30000, "--ttft", 2)
        shown = await run("explain", "acme", "--prompt-tokens", 30000)
    assert answer["decision"]["granted_tokens"] == 1000 and answer["decision"]["predicted_ttft"] == "2s"
    assert answer["limits"]["max_budget_tokens"] == 1000
    assert answer["origins"]["max_budget_tokens"] == "tenants/acme/budgetPolicy"
    assert answer["origins"]["ttft_seconds"] == "builtin"
    assert "1000 tokens by tenant_cap" in shown.stdout and "said so" in shown.stdout


async def test_people_read_tables():
    async with commands() as run:
        await run("set", "acme", "max_budget_tokens=2048")
        listed, shown = await run("list"), await run("get", "acme")
    assert "acme" in listed.stdout and "max_budget_tokens=2048" in listed.stdout
    assert "2048" in shown.stdout and "etag" in shown.stdout


async def test_import_shows_and_writes_what_differs_and_export_gives_it_back(tmp_path):
    file = tmp_path / "policies.yaml"
    content = {
        "cluster": {"limits": {"min_budget_tokens": 128}},
        "tenants": {
            "acme": {"limits": {"max_budget_tokens": 2048}, "model_rules": [{"model": "m*", "limits": {"weight": 2.0}}]}
        },
    }
    file.write_text(yaml.safe_dump(content))
    async with commands() as run:
        await run.answer("set", "old", "weight=1")
        dry = await run("import", file, "--dry-run")
        assert (await run.store.snapshot()).generation == 1
        assert "nothing was written" in dry.stdout and "2048" in dry.stdout and "weight#m*" in dry.stdout
        first = await run.answer("import", file)
        again = await run.answer("import", file)
        pruned = await run.answer("import", file, "--prune")
        exported = await run("export")
        await run("export", tmp_path / "out.yaml")
    assert [(c["action"], c["tenant"]) for c in first["changes"]] == [("create", "acme"), ("create", "cluster")]
    assert again["changes"] == [] and pruned["changes"] == [{"action": "delete", "tenant": "old"}]
    assert yaml.safe_load(exported.stdout) == content
    assert (tmp_path / "out.yaml").read_text() == exported.stdout


async def test_an_import_finds_an_order_in_which_nothing_contradicts(tmp_path):
    file = tmp_path / "policies.yaml"
    async with commands() as run:
        await run.answer("set", "cluster", "min_budget_tokens=200")
        await run.answer("set", "acme", "max_budget_tokens=300")
        # first the tenant, then the cluster; and back in the other order
        for least, most in ((400, 500), (100, 150)):
            file.write_text(
                f"cluster: {{limits: {{min_budget_tokens: {least}}}}}\n"
                f"tenants: {{acme: {{limits: {{max_budget_tokens: {most}}}}}}}"
            )
            assert len((await run.answer("import", file))["changes"]) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tenants: {acme: {limits: {max_tokens: 5}}}", "tenants.acme.limits.max_tokens"),
        ("tenants: {acme: {}, acme: {}}", "'acme' is there twice"),
    ],
)
async def test_an_import_that_is_wrong_writes_nothing(tmp_path, text, sentence):
    (tmp_path / "policies.yaml").write_text(f"cluster: {{}}\n{text}")
    async with commands() as run:
        refused = await run("import", tmp_path / "policies.yaml")
        assert (await run.store.snapshot()).generation == 0
    assert refused.exit_code == 1 and sentence in refused.output


async def test_what_the_router_refuses_is_one_sentence_and_code_1():
    async with commands() as run:
        await run.answer("set", "cluster", "min_budget_tokens=500")
        results = [
            await run("set", "acme", "max_budget_tokens=400"),
            await run("set", "a b", "weight=1"),
            await run("delete", "acme"),
            await run("list", key="acme"),
            await run("list", key=""),
        ]
    assert [result.exit_code for result in results] == [1] * 5
    assert all(len(result.output.strip().splitlines()) == 1 for result in results)
    assert "500 of cluster/budgetPolicy" in results[0].output and "UNAUTHENTICATED" in results[4].output


@pytest.mark.parametrize(
    "args",
    [
        ("set", "acme"),
        ("set", "acme", "max_tokens=5"),
        ("set", "acme", "weight"),
        ("set", "acme", "weight=1", "weight=2"),
        ("set", "acme", "weight=heavy"),
        ("set", "acme", "length_buckets=[{"),
        ("explain", "acme"),
        ("get",),
        (),
    ],
)
async def test_wrong_usage_is_code_2(args):
    assert (await Commands("127.0.0.1:1", None)(*args)).exit_code == 2


async def test_a_router_must_be_named_and_one_that_is_away_is_one_sentence():
    unnamed, away = await Commands("", None)("list"), await Commands("127.0.0.1:1", None)("list")
    assert unnamed.exit_code == 2 and "--router" in unnamed.output
    assert away.exit_code == 1 and away.output.startswith("UNAVAILABLE: ")


async def test_every_command_has_help():
    run = Commands("", None)
    assert set(COMMANDS) == {"get", "set", "list", "delete", "explain", "import", "export"}
    assert all([(await run(name, "--help")).exit_code == 0 for name in COMMANDS])
