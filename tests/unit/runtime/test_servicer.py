"""What the servicer hands to an engine, and what it makes of engines that misbehave."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer
from prometheus_client import CollectorRegistry

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from services.runtime.adapter_table import AdapterTable
from services.runtime.adapters import AdapterInfo
from services.runtime.backends.base import EngineFailed, EngineOutput, EngineRequest, Finish, ModelInfo
from services.runtime.calls import Calls
from services.runtime.engine import Running
from services.runtime.eviction import ScoringDefaults
from services.runtime.metrics import RequestMetrics
from services.runtime.servicer import GenerationServicer, RuntimeServicer
from services.runtime.settings import RuntimeSettings
from services.shared.errors import AlreadyExists, Unavailable
from services.shared.generation import ModelLimits
from services.shared.tokenizer import PromptTokenizer

INFO = ModelInfo("tiny", "f1", 1000, 1000, 2, 2, 16, 512, adapter_problem="the test has none")
FINISH = Finish("length", "", 1, 0, 0, 0.0, 0.0, None)


class ScriptedBackend:
    """Plays back outputs, and remembers what it was asked."""

    info = INFO

    def __init__(self, *outputs: EngineOutput | Exception) -> None:
        self.outputs = outputs
        self.requests: list[EngineRequest] = []

    async def generate(self, request: EngineRequest) -> AsyncGenerator[EngineOutput, None]:
        self.requests.append(request)
        for output in self.outputs:
            if isinstance(output, Exception):
                raise output
            yield output


class SilentCall:
    """A gRPC call without headers whose end nobody hears of."""

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """It never ends."""


class ReadyEngine:
    """An engine that has started."""

    def __init__(self, backend: Any, model_path: Path) -> None:
        self._running = Running(
            backend, PromptTokenizer(model_path), ModelLimits("tiny", 1000, 1000, ("window", "lookahead"))
        )

    def running(self) -> Running:
        return self._running


def servicer(backend: ScriptedBackend, model_path: Path, **settings: Any) -> tuple[Any, Calls]:
    calls = Calls(coalesce_seconds=0)
    engine: Any = ReadyEngine(backend, model_path)
    chosen = RuntimeSettings(model_path=model_path, **settings)
    metrics = RequestMetrics(CollectorRegistry())
    made = GenerationServicer(chosen, engine, calls, ScoringDefaults, AdapterTable(0), metrics.finished, NoOpTracer())
    return made, calls


def request(**fields: Any) -> generation_pb2.GenerateRequest:
    ids = generation_pb2.TokenIds(ids=range(1, 301))
    return generation_pb2.GenerateRequest(
        request_id="mine", token_ids=ids, kv=generation_pb2.KvHint(budget_tokens=100), **fields
    )


async def answer(target: Any, asked: generation_pb2.GenerateRequest) -> list[generation_pb2.GenerateResponse]:
    return [response async for response in target.Generate(asked, SilentCall())]


async def test_text_and_token_ids_reach_the_engine_as_the_same_prompt(tiny_model):
    backend = ScriptedBackend(EngineOutput("a", (1,), FINISH))
    target, _ = servicer(backend, tiny_model)
    await answer(target, generation_pb2.GenerateRequest(text="w5 w6"))
    await answer(target, generation_pb2.GenerateRequest(token_ids=generation_pb2.TokenIds(ids=[5, 6])))
    assert [asked.prompt_ids for asked in backend.requests] == [(5, 6), (5, 6)]


@pytest.mark.parametrize(("settings", "trace_path"), [({}, ""), ({"trace_dir": Path("traces")}, "traces/mine")])
async def test_plan_names_the_trace_file_only_when_traces_are_wanted(tiny_model, settings, trace_path):
    backend = ScriptedBackend(EngineOutput("a", (1,), FINISH))
    target, _ = servicer(backend, tiny_model, **settings)
    await answer(target, request())
    (asked,) = backend.requests
    assert asked.plan and asked.plan.trace_path == trace_path


async def test_without_an_adapter_lookahead_becomes_window_and_the_report_says_why_first(tiny_model):
    backend = ScriptedBackend(EngineOutput("a", (1,), FINISH))
    target, _ = servicer(backend, tiny_model)
    asked = request()
    asked.kv.policy = "lookahead"
    complete = (await answer(target, asked))[-1].complete
    assert backend.requests[0].plan and backend.requests[0].plan.policy == "window"
    sentence = "window in place of lookahead, for there is no adapter: the test has none"
    assert sentence in complete.kv.reasons


@pytest.mark.parametrize("adapter", [None, AdapterInfo("smol", 3, "0" * 64, 32)])
async def test_model_info_tells_what_prompts_are_scored_with(tiny_model, adapter):
    backend = ScriptedBackend()
    backend.info = replace(INFO, adapter=adapter, kernels_off={"lora_rows": "differs"})
    engine: Any = ReadyEngine(backend, tiny_model)
    unused: Any = None
    servicer = RuntimeServicer(engine, Calls(0), unused, AdapterTable(0))
    info = await servicer.GetModelInfo(runtime_pb2.GetModelInfoRequest(), unused)
    assert dict(info.kernels_off) == {"lora_rows": "differs"}
    assert ("fused" in info.policies) == info.HasField("adapter") == (adapter is not None)
    assert (info.adapter.name, info.adapter.version) == (("smol", 3) if adapter else ("", 0))


async def test_output_without_text_and_tokens_makes_no_message(tiny_model):
    target, _ = servicer(ScriptedBackend(EngineOutput("", (), FINISH)), tiny_model)
    assert [response.WhichOneof("event") for response in await answer(target, request())] == ["complete"]


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        ((EngineOutput("a", (1,)), EngineFailed("the scheduler is gone")), "the scheduler is gone"),
        ((EngineOutput("a", (1,)),), "ended the answer without a finish"),
        ((), "ended the answer without a finish"),
    ],
)
async def test_broken_answer_is_unavailable_and_leaves_nothing_in_flight(tiny_model, outputs, sentence):
    target, calls = servicer(ScriptedBackend(*outputs), tiny_model)
    with pytest.raises(Unavailable, match=sentence):
        await answer(target, request())
    assert calls.in_flight == 0


async def test_draining_waits_for_the_calls_in_flight_and_refuses_new_ones(tiny_model):
    target, calls = servicer(ScriptedBackend(EngineOutput("a", (1,), FINISH)), tiny_model)
    with calls.enter("mine"), pytest.raises(AlreadyExists, match="'mine' is in flight"):
        await answer(target, request())
    await calls.drain()
    with pytest.raises(Unavailable, match="draining"):
        await answer(target, request())
