"""The runtime's gRPC services: answers from the engine, and what a router needs to know."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import grpc
from opentelemetry.trace import Tracer

from protos.generation.v1 import generation_pb2, generation_pb2_grpc
from protos.runtime.v1 import runtime_pb2, runtime_pb2_grpc
from services.runtime.adapter_split import DEFAULT_ALIAS
from services.runtime.adapter_table import AdapterTable, Chosen
from services.runtime.adapters import AdapterInfo
from services.runtime.backends.base import EngineFailed, EngineOutput, EngineRequest
from services.runtime.call_record import CallRecord
from services.runtime.calls import Calls
from services.runtime.coalesce import Coalescer
from services.runtime.engine import Engine, Running
from services.runtime.eviction import Decision, ScoringDefaults, decide
from services.runtime.messages import to_chunk, to_complete, to_kv_report
from services.runtime.settings import RuntimeSettings
from services.shared.call_facts import call_headers
from services.shared.errors import Unavailable
from services.shared.generation import GenerateCall, check_fits, parse_generate
from services.shared.health import Health


@dataclass(frozen=True)
class Prepared:
    """A request that the engine may run, and how its budget came about."""

    request: EngineRequest
    decision: Decision
    defaults: ScoringDefaults


class GenerationServicer(generation_pb2_grpc.GenerationServiceServicer):
    """Answers prompts."""

    def __init__(
        self,
        settings: RuntimeSettings,
        engine: Engine,
        calls: Calls,
        scoring: Callable[[], ScoringDefaults],
        adapters: AdapterTable,
        finished: Callable[[generation_pb2.GenerateComplete], None],
        tracer: Tracer,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._calls = calls
        self._scoring = scoring
        self._adapters = adapters
        self._finished = finished
        self._tracer = tracer

    async def Generate(
        self, request: generation_pb2.GenerateRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[generation_pb2.GenerateResponse]:
        record = CallRecord.start(self._tracer, call_headers(context))
        context.add_done_callback(record.write)
        call = parse_generate(request)
        record.request_id = call.request_id
        with self._calls.enter(call.request_id) as stream:
            running = self._engine.running()
            prepared = await self._prepare(call, running)
            record.model, record.prompt_tokens = running.limits.model, len(prepared.request.prompt_ids)
            plan = prepared.request.plan
            with self._adapters.promised(plan.adapter if plan else ""):
                async with aclosing(_answer(running, prepared, stream, record)) as responses:
                    async for response in responses:
                        if response.HasField("complete"):
                            self._finished(response.complete)
                        yield response
            record.answered = True

    async def _prepare(self, call: GenerateCall, running: Running) -> Prepared:
        prompt_ids = await running.encode(call.text) if call.text is not None else call.token_ids or ()
        check_fits(call, prompt_ids, running.limits)
        defaults = self._scoring()
        info = running.backend.info
        asked = call.directive or call.kv
        allowed = call.directive.shared_aliases if call.directive else ()
        adapter = self._adapters.use(asked.adapter, asked.split_key or call.request_id, info.start_adapter, allowed)
        objection = info.scored_by(adapter).lookahead_objection(len(prompt_ids))
        decision = decide(call, len(prompt_ids), defaults, objection, adapter)
        plan, trace_dir = decision.plan, self._settings.trace_dir
        if plan and trace_dir:
            plan = replace(plan, trace_path=str(trace_dir / call.request_id))
        return Prepared(EngineRequest(call.request_id, prompt_ids, call.sampling, plan), decision, defaults)


async def _answer(
    running: Running, prepared: Prepared, stream: Coalescer[EngineOutput], record: CallRecord
) -> AsyncGenerator[generation_pb2.GenerateResponse, None]:
    request, ttft_seconds, last = prepared.request, 0.0, None
    try:
        async with aclosing(stream.read(running.backend.generate(request))) as outputs:
            async for last in outputs:
                ttft_seconds = ttft_seconds or time.monotonic() - record.started
                if last.token_ids or last.text:
                    yield to_chunk(last)
    except EngineFailed as error:
        raise Unavailable(str(error)) from error
    if last is None or last.finish is None:
        raise Unavailable("the engine ended the answer without a finish; send the request again")
    kv = to_kv_report(len(request.prompt_ids), prepared.decision, prepared.defaults, last.finish, ttft_seconds)
    response = to_complete(request.request_id, last.finish, kv)
    record.finish, record.complete = last.finish, response.complete
    yield response


class RuntimeServicer(runtime_pb2_grpc.RuntimeServiceServicer):
    """Tells a router what is served here and how busy it is."""

    def __init__(self, engine: Engine, calls: Calls, health: Health, adapters: AdapterTable) -> None:
        self._engine = engine
        self._adapters = adapters
        self._calls = calls
        self._health = health

    async def GetModelInfo(
        self, request: runtime_pb2.GetModelInfoRequest, context: grpc.aio.ServicerContext
    ) -> runtime_pb2.GetModelInfoResponse:
        running = self._engine.running()
        start = running.backend.info.start_adapter
        info = running.backend.info.scored_by(self._adapters.choose(DEFAULT_ALIAS, start))
        aliases = {name: self._adapters.choose(name, start) for name in self._adapters.aliases}
        return runtime_pb2.GetModelInfoResponse(
            model=info.model,
            fingerprint=info.fingerprint,
            context_tokens=info.context_tokens,
            vocab_size=info.vocab_size,
            layers=info.layers,
            kv_heads=info.kv_heads,
            head_dim=info.head_dim,
            kv_bytes_per_token=info.kv_bytes_per_token,
            policies=info.policies,
            adapter=_adapter(info.adapter),
            kernels_off=info.kernels_off,
            aliases=[_alias(name, chosen, self._adapters.aliases[name].share) for name, chosen in aliases.items()],
            loaded_adapters=sorted(self._adapters.loaded.held),
        )

    async def GetLoad(
        self, request: runtime_pb2.GetLoadRequest, context: grpc.aio.ServicerContext
    ) -> runtime_pb2.GetLoadResponse:
        load = await self._engine.running().backend.load()
        return runtime_pb2.GetLoadResponse(
            running_requests=load.running_requests,
            queued_requests=load.queued_requests,
            total_slots=load.total_slots,
            free_slots=load.free_slots,
            in_flight=self._calls.in_flight,
            draining=self._calls.draining,
            max_running_requests=load.max_running_requests,
        )

    async def Drain(
        self, request: runtime_pb2.DrainRequest, context: grpc.aio.ServicerContext
    ) -> runtime_pb2.DrainResponse:
        self._calls.draining = True
        await self._health.leave("draining")
        return runtime_pb2.DrainResponse(in_flight=self._calls.in_flight)


def _adapter(info: AdapterInfo | None) -> runtime_pb2.Adapter | None:
    return runtime_pb2.Adapter(name=info.name, version=info.version, sha256=info.sha256) if info else None


def _alias(name: str, chosen: Chosen, share: float) -> runtime_pb2.AdapterAlias:
    problem = chosen.problem or chosen.note
    return runtime_pb2.AdapterAlias(name=name, adapter=_adapter(chosen.info), problem=problem, share=share)
