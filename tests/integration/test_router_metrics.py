"""What a router tells Prometheus of real requests, tenants and runtimes; and what it tells nobody."""

import asyncio
import json

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from protos.generation.v1 import generation_pb2
from tests.collector import running_collector
from tests.integration.clients import Client, generate_request, until
from tests.integration.router_calls import long_call
from tests.processes import poll
from tests.scraping import families, scrape, value

MARKER = "w777"


def of(process, name: str, **labels: str):
    return asyncio.to_thread(value, process, f"lookaheadkv_{name}", **labels)


def as_tenant(name: str) -> tuple[tuple[str, str], ...]:
    return (("x-lookaheadkv-tenant", name),)


async def counted(process, number: float, name: str, **labels: str) -> None:
    """A request is counted behind its last message."""
    await until(lambda: of(process, name, **labels), lambda found: found == number)


async def test_answers_rejections_and_cancelled_requests_are_counted(start_runtime, start_router):
    runtime = start_runtime()
    router = start_router(runtime.target)
    async with Client(router.target) as client:
        await client.ready()
        request = generate_request(300, 40, budget_tokens=100)
        request.slo.ttft.CopyFrom(Duration(seconds=60))
        await client.answer(request)
        assert (await client.refusal(generate_request(5000))).code() is StatusCode.INVALID_ARGUMENT
        call = await long_call(client)
        assert await of(router, "router_requests_in_flight", tenant="default") == 1
        # its prompt is short enough to be kept whole
        assert await of(router, "router_resident_kv_tokens", tenant="default") == 300 + 2000
        assert await of(router, "replica_requests_in_flight", target=runtime.target) == 1
        call.cancel()
        await counted(router, 1, "router_requests_total", tenant="default", status="CANCELLED")
    assert await of(router, "router_requests_total", tenant="default", status="OK") == 1
    assert await of(router, "router_requests_total", tenant="default", status="INVALID_ARGUMENT") == 1
    assert await of(router, "rejections_total", tenant="default", reason="invalid_argument") == 1
    assert await of(router, "slo_requests_total", tenant="default", slo="ttft", met="yes") == 1
    assert await of(router, "budget_rule_total", rule="request_hint") == 1
    assert await of(router, "router_kv_tokens_evicted_total", tenant="default") == 200
    assert await of(router, "router_requests_in_flight", tenant="default") is None


async def test_more_tenants_than_allowed_share_a_label(start_runtime, start_router):
    trusted = {"ROUTER_TRUSTED_NETWORKS": "127.0.0.0/8", "ROUTER_METRICS_MAX_TENANTS": 2}
    router = start_router(start_runtime().target, **trusted)
    async with Client(router.target) as client:
        await client.ready()
        for number in range(5):
            call = client.generation.Generate(generate_request(10, 1), metadata=as_tenant(f"tenant-{number}"))
            assert [response async for response in call]
    await counted(router, 3, "router_requests_total", tenant="_other", status="OK")
    for tenant in ("tenant-0", "tenant-1"):
        assert await of(router, "router_requests_total", tenant=tenant, status="OK") == 1


async def test_a_caller_without_a_key_is_counted_as_nobody(start_runtime, start_router, tmp_path):
    keys = tmp_path / "keys.yaml"
    keys.write_text(json.dumps({"keys": [{"sha256": "0" * 64, "tenant": "acme"}]}))
    router = start_router(start_runtime().target, ROUTER_API_KEYS_PATH=keys)
    async with Client(router.target) as client:
        await client.ready()
        assert (await client.refusal(generate_request())).code() is StatusCode.UNAUTHENTICATED
    await counted(router, 1, "rejections_total", tenant="_unknown", reason="unauthenticated")


async def test_a_runtime_that_is_out_is_named_with_the_reason(start_pair):
    router, runtimes = start_pair()
    (target, killed), (other, _) = runtimes.items()
    assert await of(router, "replica_usable", target=target) == 1
    assert await of(router, "replica_tpot_base_seconds", target=target) == 0.01
    killed.kill()
    router.wait_for("runtime out", target=target)
    assert await of(router, "replica_usable", target=target) == 0
    assert await of(router, "replica_out", target=target) == 1
    assert await of(router, "replica_usable", target=other) == 1


async def test_policies_that_the_store_no_longer_confirms_are_stale(start_runtime, start_router, redis_server):
    variables = {"ROUTER_REDIS_URL": redis_server.url, "ROUTER_POLICY_POLL_SECONDS": 0.1}
    router = start_router(start_runtime().target, ROUTER_POLICY_MAX_AGE_SECONDS=0.5, **variables)
    async with Client(router.target) as client:
        await client.ready()
    await counted(router, 0, "policies_stale")
    await counted(router, 0, "policy_problem")
    redis_server.kill()
    await counted(router, 1, "policies_stale")
    await counted(router, 1, "policy_problem")
    assert await of(router, "policy_age_seconds") > 0.5


async def test_an_empty_port_serves_no_metrics(start_runtime, start_router):
    router = start_router(start_runtime().target, ROUTER_METRICS_PORT="")
    await asyncio.to_thread(router.wait_for, "runtime in")
    assert not [event for event in router.events if event["event"] == "metrics"]


@pytest.fixture
def marked() -> generation_pb2.GenerateRequest:
    """A request with a word in it that is to be seen nowhere."""
    request = generate_request(300, 4, budget_tokens=100, request_id="marked")
    request.text += f" {MARKER}" * 3
    return request


async def test_no_word_of_a_prompt_is_in_any_label_span_or_log(start_runtime, start_router, marked):
    with running_collector() as (collector, endpoint):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": 50}
        runtime = start_runtime(RUNTIME_LOG_LEVEL="DEBUG", **variables)
        router = start_router(runtime.target, ROUTER_LOG_LEVEL="DEBUG", **variables)
        async with Client(router.target) as client:
            await client.ready()
            await client.answer(marked)
            # words of no token, and a stop string, which a client may quote from a prompt
            broken = generate_request(5000, request_id="broken")
            broken.text, broken.sampling.stop[:] = f"{MARKER} " * 5000, [MARKER]
            await client.refusal(broken)
        await asyncio.to_thread(collector.trace, "marked", 8)
        await asyncio.to_thread(collector.trace, "broken", 2)
        assert MARKER.encode() not in collector.raw
    for process in (runtime, router):
        process.wait_for("request", request_id="marked")
        assert MARKER not in await asyncio.to_thread(scrape, process)
        assert MARKER not in json.dumps([process.events, process.other_lines])


async def test_the_scorer_tells_of_its_registry_and_its_configuration(start_scorer, redis_server, tmp_path):
    config = tmp_path / "scoring.yaml"
    config.write_text("default: {policy: window}\n")
    scorer = start_scorer(config, SCORER_REDIS_URL=redis_server.url)
    scorer.wait_for("ready")
    await counted(scorer, 1, "adapter_registry_up")
    assert await of(scorer, "scoring_config_refused") == 0
    version = families(scorer)["lookaheadkv_scoring_config"].samples[0].labels["version"]
    config.write_text("default: {policy: nonsense}\n")
    await counted(scorer, 1, "scoring_config_refused")
    # the last good one stays in force
    assert await of(scorer, "scoring_config", version=version) == 1
    config.write_text("default: {policy: streaming}\n")
    poll(lambda: value(scorer, "lookaheadkv_scoring_config", version=version) is None, 30)
    redis_server.kill()
    await counted(scorer, 0, "adapter_registry_up")
