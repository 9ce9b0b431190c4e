"""What the runtime relies on, whatever engine is behind it: stream, cancel, drain, budget respected."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from services.runtime.backends import BACKENDS
from tests.integration.clients import Client, until
from tests.processes import ServerProcess

START_SECONDS = 240.0
PROMPT_TOKENS, BUDGET_TOKENS = 400, 100
ENGINE_ARGS: dict[str, dict[str, Any]] = {
    "fake": {"tokens_per_second": 50},
    "sglang": {"dtype": "float32", "max_total_tokens": 8192, "context_length": 4096, "mem_fraction_static": 0.5},
}


def backends() -> list[Any]:
    """Every backend of the table; all but the fake one start a real engine."""
    return [pytest.param(name, marks=[pytest.mark.engine] if name != "fake" else []) for name in BACKENDS]


def model_for(name: str, tiny_model: Path) -> Path:
    if name == "fake":
        return tiny_model
    from services.local.model import ensure_model

    return ensure_model()


@pytest.fixture(scope="module", params=backends())
def runtime(request: pytest.FixtureRequest, tiny_model: Path) -> Iterator[ServerProcess]:
    variables = {
        "RUNTIME_BACKEND": request.param,
        "RUNTIME_PORT": "0",
        "RUNTIME_METRICS_PORT": "0",
        "RUNTIME_MODEL_PATH": str(model_for(request.param, tiny_model)),
        "RUNTIME_SCORER_TARGET": "127.0.0.1:1",
        "RUNTIME_ENGINE_ARGS": json.dumps(ENGINE_ARGS[request.param]),
        "RUNTIME_COALESCE_SECONDS": "0",
    }
    process = ServerProcess("services.runtime.main", variables)
    try:
        process.wait_for("ready", START_SECONDS)
        yield process
    finally:
        process.kill()


@pytest.fixture
async def client(runtime: ServerProcess) -> AsyncIterator[Client]:
    async with Client(runtime.target) as client:
        yield client


def asked(new_tokens: int, budget_tokens: int | None = None) -> generation_pb2.GenerateRequest:
    return generation_pb2.GenerateRequest(
        token_ids=generation_pb2.TokenIds(ids=[100 + i % 800 for i in range(PROMPT_TOKENS)]),
        sampling=generation_pb2.SamplingParams(max_new_tokens=new_tokens, temperature=0, ignore_eos=True),
        kv=generation_pb2.KvHint(policy="streaming", budget_tokens=budget_tokens),
    )


async def all_free(client: Client) -> runtime_pb2.GetLoadResponse:
    return await until(client.load, lambda load: load.free_slots == load.total_slots and not load.running_requests)


async def test_answer_streams_in_order_and_ends_with_a_finish(client):
    chunks, complete = await client.answer(asked(8))
    assert len(chunks) >= 2
    assert sum(len(chunk.token_ids) for chunk in chunks) == complete.usage.completion_tokens == 8
    assert complete.finish_reason == generation_pb2.FINISH_REASON_LENGTH
    assert (complete.usage.prompt_tokens, complete.kv.kept_tokens) == (PROMPT_TOKENS, PROMPT_TOKENS)


async def test_same_prompt_gets_the_same_greedy_answer(client):
    answers = [(await client.answer(asked(8)))[0] for _ in range(2)]
    first, second = ([token for chunk in chunks for token in chunk.token_ids] for chunks in answers)
    assert first == second


async def test_budget_is_respected_and_frees_slots(client):
    _, complete = await client.answer(asked(4, BUDGET_TOKENS))
    assert (complete.kv.policy, complete.kv.kept_tokens) == ("streaming", BUDGET_TOKENS)
    assert complete.kv.freed_tokens == PROMPT_TOKENS - BUDGET_TOKENS
    assert complete.kv.free_slots_after > complete.kv.free_slots_before
    await all_free(client)


@pytest.mark.parametrize("budget_tokens", [None, BUDGET_TOKENS])
async def test_cancelling_frees_everything_and_the_next_request_is_served(client, budget_tokens):
    call = client.generation.Generate(asked(2000, budget_tokens))
    await call.read()
    call.cancel()
    load = await all_free(client)
    _, complete = await client.answer(asked(2))
    assert load.in_flight == 0
    assert complete.usage.completion_tokens == 2


async def test_requests_share_the_engine(client):
    answers = await asyncio.gather(*(client.answer(asked(4, BUDGET_TOKENS)) for _ in range(4)))
    assert [complete.usage.completion_tokens for _, complete in answers] == [4] * 4


# the last one, for a drained runtime takes no more
async def test_draining_finishes_what_is_in_flight(client):
    answer = asyncio.create_task(client.answer(asked(20)))
    await until(client.load, lambda load: load.in_flight == 1)
    await client.runtime.Drain(runtime_pb2.DrainRequest())
    _, complete = await answer
    assert complete.usage.completion_tokens == 20
