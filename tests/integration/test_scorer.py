"""The scorer sidecar as a process, and the runtime beside it."""

import asyncio
import shutil
from pathlib import Path

import grpc
import pytest
import yaml

from protos.scorer.v1 import scoring_config_pb2, scoring_config_pb2_grpc
from tests.integration.clients import NOT_SERVING, SERVING, Client, generate_request, until
from tests.processes import ROOT, ServerProcess, free_port

SCORING = "lookaheadkv.scorer.v1.ScoringConfigService"
FINGERPRINT = "0123456789abcdef" * 2


def write(path: Path, **default: object) -> Path:
    path.write_text(yaml.safe_dump({"default": default}))
    return path


def config_stub(client: Client) -> scoring_config_pb2_grpc.ScoringConfigServiceStub:
    return scoring_config_pb2_grpc.ScoringConfigServiceStub(client.channel)


async def get_config(client: Client, fingerprint: str = FINGERPRINT) -> scoring_config_pb2.ScoringConfig:
    request = scoring_config_pb2.GetScoringConfigRequest(model_fingerprint=fingerprint)
    return (await config_stub(client).GetScoringConfig(request)).config


def watch(client: Client, fingerprint: str = FINGERPRINT) -> grpc.aio.UnaryStreamCall:
    request = scoring_config_pb2.WatchScoringConfigRequest(model_fingerprint=fingerprint)
    return config_stub(client).WatchScoringConfig(request)


async def kv_report(client: Client):
    _, complete = await client.answer(generate_request(300, 1, budget_tokens=100))
    return complete.kv


async def reported_source(client: Client, source: str):
    """The KV report of the first request that is served with a configuration from `source`."""
    return await until(lambda: kv_report(client), lambda kv: kv.config_source == source)


def seen(process: ServerProcess, event: str):
    return asyncio.to_thread(process.wait_for, event)


async def test_shipped_configuration_holds_the_built_in_values(start_scorer):
    async with Client(start_scorer(ROOT / "scorer" / "scoring.yaml").target) as client:
        await client.ready(SCORING)
        config = await get_config(client)
    assert (config.policy, config.sink_tokens, config.recent_tokens) == ("window", 4, 32)
    assert (config.min_budget_tokens, config.min_evicted_tokens) == (64, 64)


async def test_watch_sends_the_current_configuration_then_every_change_of_that_model(start_scorer, tmp_path):
    path = write(tmp_path / "scoring.yaml", sink_tokens=4)
    async with Client(start_scorer(path).target) as client:
        await client.ready(SCORING)
        plain, special = watch(client), watch(client, FINGERPRINT[::-1])
        first = [(await call.read()).config for call in (plain, special)]
        path.write_text(yaml.safe_dump({"models": {FINGERPRINT[::-1]: {"sink_tokens": 6}}}))
        changed = (await special.read()).config
        path.write_text(yaml.safe_dump({"default": {"sink_tokens": 8}}))
        last = (await plain.read()).config
    assert first[0] == first[1]
    assert (changed.sink_tokens, last.sink_tokens) == (6, 8)
    assert len({first[0].version, changed.version, last.version}) == 3


async def test_link_swap_as_kubernetes_does_it_is_followed(start_scorer, tmp_path):
    for version, sinks in (("v1", 4), ("v2", 8)):
        (tmp_path / version).mkdir()
        write(tmp_path / version / "scoring.yaml", sink_tokens=sinks)
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "scoring.yaml").symlink_to("..data/scoring.yaml")
    async with Client(start_scorer(tmp_path / "scoring.yaml").target) as client:
        await client.ready(SCORING)
        call = watch(client)
        assert (await call.read()).config.sink_tokens == 4
        (tmp_path / "..data_tmp").symlink_to("v2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        shutil.rmtree(tmp_path / "v1")
        assert (await call.read()).config.sink_tokens == 8


async def test_bad_edit_keeps_the_last_good_configuration_and_names_the_field(start_scorer, tmp_path):
    path = write(tmp_path / "scoring.yaml", sink_tokens=8)
    scorer = start_scorer(path)
    async with Client(scorer.target) as client:
        await client.ready(SCORING)
        good = await get_config(client)
        write(path, sink_tokns=9)
        refused = await seen(scorer, "configuration refused, the last good one stays in force")
        kept = await get_config(client)
        write(path, sink_tokens=9)
        mended = await until(lambda: get_config(client), lambda config: config != good)
    assert "default.sink_tokns" in refused["reason"]
    assert kept == good
    assert mended.sink_tokens == 9


def test_bad_file_at_the_start_ends_the_process_with_the_sentence(start_scorer, tmp_path):
    scorer = start_scorer(write(tmp_path / "scoring.yaml", policy="best"))
    assert scorer.wait() == 2
    assert "default.policy: " in scorer.other_lines[0]
    assert "known: full, " in scorer.other_lines[0]


async def test_sigterm_ends_watches_and_the_process_at_once(start_scorer, tmp_path):
    scorer = start_scorer(write(tmp_path / "scoring.yaml"))
    async with Client(scorer.target) as client:
        await client.ready(SCORING)
        call = watch(client)
        await call.read()
        scorer.terminate()
        assert await call.read() is grpc.aio.EOF
        assert await asyncio.to_thread(scorer.wait, 4) == 0


async def test_runtime_follows_a_change_without_restart(start_scorer, start_runtime, tmp_path):
    path = write(tmp_path / "scoring.yaml", policy="streaming")
    scorer = start_scorer(path)
    async with Client(start_runtime(RUNTIME_SCORER_TARGET=scorer.target).target) as client:
        await client.ready("scoring-config")
        before = await kv_report(client)
        write(path, policy="window", min_budget_tokens=150)
        after = await until(lambda: kv_report(client), lambda kv: kv.config_version != before.config_version)
    assert (before.policy, before.kept_tokens, before.config_source) == ("streaming", 100, "scorer")
    assert (after.policy, after.kept_tokens, after.config_source) == ("window", 150, "scorer")
    assert after.reasons[0] == "raised from 100 to the floor of 150 tokens"


async def test_runtime_serves_on_while_the_scorer_is_gone_and_takes_it_back(start_scorer, start_runtime, tmp_path):
    path = write(tmp_path / "scoring.yaml", policy="streaming")
    port = free_port()
    scorer = start_scorer(path, port)
    async with Client(start_runtime(RUNTIME_SCORER_TARGET=f"127.0.0.1:{port}").target) as client:
        await client.ready("scoring-config")
        fresh = await kv_report(client)
        scorer.kill()
        last_known = await reported_source(client, "last_known")
        lost = await client.check("scoring-config"), await client.check("")
        start_scorer(write(path, policy="window"), port)
        back = await reported_source(client, "scorer")
        assert await client.check("scoring-config") == SERVING
    assert lost == (NOT_SERVING, SERVING)
    assert (last_known.policy, last_known.config_version) == ("streaming", fresh.config_version)
    assert back.policy == "window"


async def test_runtime_without_a_scorer_serves_with_the_built_in_configuration(start_runtime):
    async with Client(start_runtime(RUNTIME_SCORER_TARGET=f"127.0.0.1:{free_port()}").target) as client:
        await client.ready()
        kv = await kv_report(client)
        status = await client.check("scoring-config")
    assert (kv.config_source, kv.config_version, kv.policy, kv.kept_tokens) == ("builtin", "builtin", "window", 100)
    assert status == NOT_SERVING


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"pool_width": 6}, "policy_params.window: pool_width: 6 must be odd and positive"),
        ({"pool_with": 5}, "pool_with"),
    ],
)
async def test_runtime_refuses_parameters_that_the_policy_refuses(
    start_scorer, start_runtime, tmp_path, params, sentence
):
    path = write(tmp_path / "scoring.yaml", policy="streaming")
    runtime = start_runtime(RUNTIME_SCORER_TARGET=start_scorer(path).target)
    async with Client(runtime.target) as client:
        await client.ready("scoring-config")
        good = await kv_report(client)
        write(path, policy="window", policy_params={"window": params})
        refused = await seen(runtime, "scoring configuration refused")
        kept = await reported_source(client, "last_known")
    assert sentence in refused["reason"]
    assert (kept.policy, kept.config_version) == ("streaming", good.config_version)
