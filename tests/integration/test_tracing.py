"""One trace for each request, from the client to what the engine did; and nothing where nobody looks."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
from grpc import StatusCode

from tests.collector import Collector, Span, running_collector
from tests.integration.clients import Client, generate_request
from tests.integration.router_calls import long_call
from tests.processes import ServerProcess, free_port

ROUTER, RUNTIME = "lookaheadkv-router", "lookaheadkv-runtime"
# what is sent after so long is waited for
FAST = {"OTEL_BSP_SCHEDULE_DELAY": 50}
# of an answer that was evicted: request, tokenize and generate of the router, request and four stages of the runtime
SPANS = 8
CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    with running_collector() as (found, endpoint):
        yield found, endpoint


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Where connections are taken, and nobody ever says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def traced(start_runtime, start_router, collector):
    """A router and its runtime, which send to `collector`."""
    return _pair(start_runtime, start_router, OTEL_EXPORTER_OTLP_ENDPOINT=collector[1], **FAST)


def _pair(start_runtime, start_router, **variables) -> tuple[ServerProcess, ServerProcess]:
    runtime = start_runtime(**variables)
    runtime.wait_for("ready")
    router = start_router(runtime.target, **variables)
    router.wait_for("runtime in")
    return router, runtime


def _by_name(spans: list[Span]) -> dict[tuple[str, str], Span]:
    assert len({(span.service, span.name) for span in spans}) == len(spans), spans
    return {(span.service, span.name): span for span in spans}


async def _answer(process: ServerProcess, request, headers: tuple[tuple[str, str], ...] = ()):
    async with Client(process.target) as client:
        await client.ready()
        responses = [response async for response in client.generation.Generate(request, metadata=headers)]
    return responses[-1].complete


async def test_one_request_is_one_trace_across_the_processes(traced, collector):
    complete = await _answer(traced[0], generate_request(300, 5, budget_tokens=100, request_id="mine"))
    spans = _by_name(await asyncio.to_thread(collector[0].trace, "mine", SPANS))
    assert len({span.trace_id for span in spans.values()}) == 1
    first, call, second = (
        spans[key]
        for key in ((ROUTER, "text_completion tiny"), (ROUTER, "generate"), (RUNTIME, "text_completion tiny"))
    )
    assert first.parent_id == ""
    assert call.parent_id == spans[ROUTER, "tokenize"].parent_id == first.span_id
    assert second.parent_id == call.span_id
    stages = [spans[RUNTIME, name] for name in ("queue", "prefill", "score", "compact")]
    assert {stage.parent_id for stage in stages} == {second.span_id}
    # as OpenTelemetry counts them: internal, server and client
    assert [span.kind for span in (first, call, second, *stages)] == [2, 3, 2, 1, 1, 1, 1]
    # the runtime's call is over a little later than its last message is here
    assert first.began <= call.began <= second.began
    for outer, inner in ((first, call), *((second, stage) for stage in stages)):
        assert outer.began <= inner.began <= inner.ended <= outer.ended
    ends = [moment for stage in stages for moment in (stage.began, stage.ended)]
    assert all(later - earlier > -1e-5 for earlier, later in zip(ends, ends[1:], strict=False))
    assert complete.kv.freed_tokens == 200


async def test_spans_say_what_was_decided_and_what_became_of_it(traced, collector):
    await _answer(traced[0], generate_request(300, 5, budget_tokens=100, request_id="mine"))
    spans = _by_name(await asyncio.to_thread(collector[0].trace, "mine", SPANS))
    first, second = spans[ROUTER, "text_completion tiny"].attributes, spans[RUNTIME, "text_completion tiny"].attributes
    answer = {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "lookaheadkv",
        "gen_ai.request.model": "tiny",
        "gen_ai.response.id": "mine",
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.usage.input_tokens": 300,
        "gen_ai.usage.output_tokens": 5,
        "rpc.response.status_code": "OK",
        "lookaheadkv.kv.policy": "window",
        "lookaheadkv.kv.kept_tokens": 100,
        "lookaheadkv.kv.freed_tokens": 200,
    }
    assert answer.items() <= first.items()
    assert answer.items() <= second.items()
    decision = {
        "lookaheadkv.tenant": "default",
        "lookaheadkv.prompt_tokens": 300,
        "lookaheadkv.attempts": 1,
        "lookaheadkv.budget.rule": "request_hint",
        "lookaheadkv.budget.requested_tokens": 100,
        "lookaheadkv.budget.granted_tokens": 100,
        "lookaheadkv.budget.policy_generation": 0,
    }
    assert decision.items() <= first.items()
    assert "request_hint allows 100 tokens" in first["lookaheadkv.budget.reasons"][0]
    called = spans[ROUTER, "generate"].attributes
    assert f"{called['server.address']}:{called['server.port']}" == traced[1].target
    assert spans[RUNTIME, "compact"].attributes["lookaheadkv.kv.free_slots_after"] > 0


async def test_the_trace_of_a_client_goes_on_and_is_in_every_log(traced, collector):
    request = generate_request(300, 5, request_id="mine")
    await _answer(traced[0], request, (("traceparent", CLIENT), ("tracestate", "vendor=1")))
    spans = await asyncio.to_thread(collector[0].trace, "mine", SPANS - 2)
    _, trace_id, parent_id, _ = CLIENT.split("-")
    assert {span.trace_id for span in spans} == {trace_id}
    assert [span.service for span in spans if span.parent_id == parent_id] == [ROUTER]
    for process in traced:
        assert process.wait_for("request", request_id="mine")["trace_id"] == trace_id


async def test_a_client_that_does_not_want_a_trace_gets_none(traced, collector):
    await _answer(traced[0], generate_request(300, 5, request_id="quiet"), (("traceparent", CLIENT[:-1] + "0"),))
    await _answer(traced[0], generate_request(300, 5, request_id="mine"))
    spans = await asyncio.to_thread(collector[0].trace, "mine", SPANS - 2)
    assert CLIENT.split("-")[1] not in {span.trace_id for span in [*spans, *collector[0].spans]}


@pytest.mark.parametrize("header", ["", "00-zz-yy-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 2000])
async def test_a_broken_traceparent_is_as_good_as_none(traced, collector, header):
    await _answer(traced[0], generate_request(300, 5, request_id="mine"), (("traceparent", header),))
    spans = await asyncio.to_thread(collector[0].trace, "mine", SPANS - 2)
    assert [span.parent_id for span in spans if span.kind == 2].count("") == 1


async def test_refused_and_cancelled_requests_have_spans_with_their_status(traced, collector):
    async with Client(traced[0].target) as client:
        await client.ready()
        error = await client.refusal(generate_request(5000, request_id="long"))
        call = await long_call(client, request_id="left")
        call.cancel()
        await asyncio.to_thread(traced[1].wait_for, "request", request_id="left")
    assert error.code() is StatusCode.INVALID_ARGUMENT
    (refused, *_) = await asyncio.to_thread(collector[0].trace, "long", 2)
    spans = await asyncio.to_thread(collector[0].trace, "left", 3)
    by_status = {span.attributes.get("rpc.response.status_code") for span in spans if span.kind != 1}
    assert by_status == {"CANCELLED"}
    refusals = [span for span in collector[0].spans if span.attributes.get("lookaheadkv.rejection")]
    assert [span.attributes["lookaheadkv.rejection"] for span in refusals] == ["invalid_argument"]
    assert not refused.failed


async def test_a_sampler_of_the_environment_is_obeyed(start_runtime, start_router, collector):
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector[1], "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    router, _ = _pair(start_runtime, start_router, **variables, **FAST)
    assert "AlwaysOff" in router.wait_for("traces")["sampler"]
    await _answer(router, generate_request(300, 5, request_id="unseen"))
    # whose client is sampled
    await _answer(router, generate_request(300, 5, request_id="seen"), (("traceparent", CLIENT),))
    await asyncio.to_thread(collector[0].trace, "seen", SPANS - 2)
    assert {span.trace_id for span in collector[0].spans} == {CLIENT.split("-")[1]}


@pytest.mark.parametrize("refused", [True, False], ids=["refuses", "hangs"])
async def test_a_collector_that_is_away_holds_nothing_up_and_is_named_once(
    start_runtime, start_router, refused, silent_port
):
    port = free_port() if refused else silent_port
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_TIMEOUT": 1}
    router, runtime = _pair(start_runtime, start_router, **endpoint, **FAST)
    for number in range(20):
        complete = await _answer(router, generate_request(300, 2, request_id=f"mine-{number}"))
        assert complete.usage.completion_tokens == 2
    for process in (router, runtime):
        line = await asyncio.to_thread(process.wait_for, "tracing")
        assert f"127.0.0.1:{port}" in line["problem"]
        process.terminate()
        # not the half minute that the SDK would take
        assert await asyncio.to_thread(process.wait, 10) == 0
        assert [event for event in process.events if event["event"] == "tracing"] == [line]
        assert process.other_lines == []


async def test_a_collector_that_comes_back_gets_spans_again(start_runtime, start_router):
    port = free_port()
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_TIMEOUT": 1}
    router, _ = _pair(start_runtime, start_router, **endpoint, **FAST)
    await _answer(router, generate_request(300, 2, request_id="lost"))
    await asyncio.to_thread(router.wait_for, "tracing")
    with running_collector(port) as (collector, _):
        await _answer(router, generate_request(300, 2, request_id="found"))
        await asyncio.to_thread(collector.trace, "found", SPANS - 2)
        await asyncio.to_thread(router.wait_for, "traces are delivered again")


@pytest.mark.parametrize(
    "variables",
    [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}],
    ids=["nothing is set", "disabled", "no exporter"],
)
async def test_without_a_wish_for_traces_there_are_none(start_runtime, start_router, collector, variables):
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector[1]} if variables else {}
    router, runtime = _pair(start_runtime, start_router, **endpoint, **variables, **FAST)
    await _answer(router, generate_request(300, 2, request_id="mine"))
    # a client's own trace is in the logs all the same, and goes on to the runtime
    await _answer(router, generate_request(300, 2, request_id="theirs"), (("traceparent", CLIENT),))
    for process in (router, runtime):
        assert "trace_id" not in process.wait_for("request", request_id="mine")
        assert process.wait_for("request", request_id="theirs")["trace_id"] == CLIENT.split("-")[1]
        assert not [event for event in process.events if event["event"].startswith("trac")]
    assert collector[0].spans == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf", "set it to grpc"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "set it to otlp or none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "could not convert string to float"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "zip"),
    ],
)
async def test_what_cannot_be_used_is_named_and_serves_without_traces(start_runtime, collector, name, value, sentence):
    runtime = start_runtime(OTEL_EXPORTER_OTLP_ENDPOINT=collector[1], **{name: value})
    assert sentence in (await asyncio.to_thread(runtime.wait_for, "traces are off"))["reason"]
    await _answer(runtime, generate_request(300, 2))
    assert collector[0].spans == []
