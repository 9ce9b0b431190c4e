"""A runtime with an adapter tells of it; without one it serves on, and says so."""

import json
import shutil

import pytest

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from tests.engine.adapters import random_adapter
from tests.integration.clients import NOT_SERVING, SERVING, Client, generate_request

FALLBACK_SENTENCE = "window in place of {policy}, for there is no adapter: "


def asked(policy: str) -> generation_pb2.GenerateRequest:
    request = generate_request(300, 4, budget_tokens=100)
    request.kv.policy = policy
    return request


@pytest.fixture
def adapter(tiny_model, tmp_path):
    return random_adapter(tiny_model, tmp_path / "adapter")


@pytest.fixture
def misfit(tiny_model, tmp_path):
    """An adapter for a model with more layers."""
    other = tmp_path / "other"
    shutil.copytree(tiny_model, other)
    config = json.loads((other / "config.json").read_text()) | {"num_hidden_layers": 5}
    (other / "config.json").write_text(json.dumps(config))
    return random_adapter(other, tmp_path / "misfit")


async def test_adapter_is_in_health_model_info_and_the_reports_of_its_policies(start_runtime, adapter):
    runtime = start_runtime(RUNTIME_ADAPTER_PATH=adapter)
    async with Client(runtime.target) as client:
        await client.ready()
        info = await client.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
        reports = {policy: (await client.answer(asked(policy)))[1].kv for policy in ("lookahead", "fused", "window")}
        states = [await client.check(name) for name in ("adapter", "kernels")]
    assert (info.adapter.name, info.adapter.version, len(info.adapter.sha256)) == ("random", 7, 64)
    assert {"lookahead", "fused"} < set(info.policies)
    assert states == [SERVING, SERVING]
    assert {name: kv.policy for name, kv in reports.items()} == {name: name for name in reports}
    assert [kv.adapter_version for kv in reports.values()] == [7, 7, 0]


@pytest.mark.parametrize("policy", ["lookahead", "fused"])
async def test_adapter_of_another_model_leaves_window_and_says_why_everywhere(start_runtime, misfit, policy):
    runtime = start_runtime(RUNTIME_ADAPTER_PATH=misfit)
    async with Client(runtime.target) as client:
        await client.ready()
        info = await client.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
        kv = (await client.answer(asked(policy)))[1].kv
        state = await client.check("adapter")
    assert (kv.policy, kv.kept_tokens, kv.adapter) == ("window", 100, "")
    assert kv.reasons[0].startswith(FALLBACK_SENTENCE.format(policy=policy))
    assert "num_hidden_layers: 2, the adapter needs 5" in kv.reasons[0]
    assert not {"lookahead", "fused"} & set(info.policies) and not info.HasField("adapter")
    assert state == NOT_SERVING
    logged = [line for line in runtime.events if line["event"].startswith("no adapter")]
    assert ["num_hidden_layers" in line["reason"] for line in logged] == [True]


async def test_router_lets_the_runtime_fall_back(start_pair):
    router, _ = start_pair()
    async with Client(router.target) as client:
        await client.ready()
        kv = (await client.answer(asked("lookahead")))[1].kv
    assert kv.policy == "window"
    assert any(reason.startswith(FALLBACK_SENTENCE.format(policy="lookahead")) for reason in kv.reasons)
