"""Streams and answers when the core, the client or the process does something else than usual."""

import asyncio
import json
import socket

import httpx
import openai
import pytest
from structlog.testing import capture_logs

from protos.generation.v1 import generation_pb2
from router.http.streaming import Pace
from services.shared.errors import Unavailable
from tests.integration.clients import until
from tests.integration.http_calls import PATIENT, ScriptedCore, async_client, chunk, complete, events, served
from tests.rpc_errors import over_quota

TEXT = "/v1/completions"
BODY = {"prompt": "w1", "stream": True}
ABORT = generation_pb2.FINISH_REASON_ABORT


async def test_a_long_prefill_is_bridged_by_comments_that_clients_skip():
    go = asyncio.Event()
    core = ScriptedCore(go, chunk("hi"), complete())
    async with served(core, Pace(0.02, 60)) as url, httpx.AsyncClient(base_url=url) as client:
        async with client.stream("POST", TEXT, json=BODY) as response:
            # the head is there, although nothing else is
            assert response.status_code == 200
            go.set()
            comment, first, last, done = await events(response)
        go.clear()
        async with async_client(url) as official:
            stream = await official.completions.create(model="", prompt="w1", stream=True)
            go.set()
            texts = [each.choices[0].text async for each in stream]
    assert comment.startswith(": ")
    assert (first["choices"][0]["text"], last["choices"][0]["finish_reason"], done) == ("hi", "stop", "[DONE]")
    assert texts == ["hi", ""]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_before_the_first_token_has_its_own_status(stream):
    async with served(ScriptedCore(over_quota(1.5))) as url, async_client(url) as client:
        with pytest.raises(openai.RateLimitError, match="acme has 5 requests a minute") as raised:
            await client.completions.create(model="", prompt="w1", stream=stream)
    assert raised.value.response.headers["retry-after"] == "2"
    assert raised.value.response.headers["x-lookaheadkv-reason"] == "REQUESTS_PER_MINUTE"


@pytest.mark.parametrize("steps", [(Unavailable("gone"),), (complete(ABORT),), ()], ids=["error", "abort", "no end"])
async def test_an_answer_that_is_not_finished_is_an_error_with_and_without_a_stream(steps):
    async with served(ScriptedCore(chunk("hi"), *steps)) as url, async_client(url) as client:
        texts = []
        with pytest.raises(openai.APIError) as cut:
            async for each in await client.completions.create(model="", prompt="w1", stream=True):
                texts.append(each.choices[0].text)
        with pytest.raises(openai.InternalServerError) as whole:
            await client.completions.create(model="", prompt="w1")
    assert texts == ["hi"]
    assert (cut.value.code, cut.value.type) == ("unavailable", "server_error")
    assert whole.value.status_code == 503


@pytest.mark.parametrize("stream", [True, False])
async def test_what_nobody_expected_is_an_internal_error_without_its_words(stream):
    with capture_logs() as logs:
        async with served(ScriptedCore(RuntimeError("a secret"))) as url, async_client(url) as client:
            with pytest.raises(openai.InternalServerError) as raised:
                await client.completions.create(model="", prompt="w1", stream=stream)
    assert (raised.value.status_code, "secret" in raised.value.message) == (500, False)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["unhandled error"]
    assert [line["status"] for line in logs if line["event"] == "request"] == ["INTERNAL"]


async def test_the_deadline_of_a_gateway_reaches_the_core():
    core = ScriptedCore(complete())
    async with served(core) as url, httpx.AsyncClient(base_url=url) as client:
        await client.post(TEXT, json={"prompt": "w1"}, headers={"x-envoy-expected-rq-timeout-ms": "5000"})
        await client.post(TEXT, json={"prompt": "w1"})
    with_deadline, without = core.remaining
    assert with_deadline and 0 < with_deadline <= 5
    assert without is None


async def test_a_client_that_never_reads_is_cut_off_and_its_request_is_ended():
    core = ScriptedCore(*[chunk("x" * 100_000)] * 1000, complete())
    with capture_logs() as logs:
        async with served(core, Pace(60, 1)) as url:
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with reader:
                reader.connect(("127.0.0.1", httpx.URL(url).port))
                body = json.dumps(BODY).encode()
                reader.sendall(
                    b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (TEXT.encode(), len(body)) + body
                )
                await asyncio.wait_for(core.ended.wait(), 30)
    assert [line["status"] for line in logs if line["event"] == "request"] == ["CANCELLED"]


async def test_whoever_is_still_waiting_at_the_end_is_told_so():
    core = ScriptedCore(chunk("hi"), asyncio.Event())
    async with httpx.AsyncClient() as client:
        async with served(core) as url:
            whole = asyncio.create_task(client.post(f"{url}{TEXT}", json={"prompt": "w1"}))
            request = client.build_request("POST", f"{url}{TEXT}", json=BODY)
            response = await client.send(request, stream=True)
            await until(core.count, lambda requests: requests == 2)
        *_, last = await events(response)
        refused = await whole
    assert (last["error"]["code"], "shutting down" in last["error"]["message"]) == ("unavailable", True)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


async def test_the_description_names_all_routes_bodies_and_answers():
    async with served(ScriptedCore()) as url, httpx.AsyncClient(base_url=url) as client:
        document = (await client.get("/openapi.json")).json()
        page = await client.get("/docs")
    assert set(document["paths"]) == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/models",
        "/v1/models/{name}",
        "/health",
        "/ready",
    }
    schemas = document["components"]["schemas"]
    chat = document["paths"]["/v1/chat/completions"]["post"]
    assert chat["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ChatRequest"}
    assert set(chat["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert {"messages", "kv", "slo", "max_completion_tokens"} <= set(schemas["ChatRequest"]["properties"])
    assert schemas["ChatRequest"]["properties"]["n"]["enum"] == [None, 1]
    assert {"kept_tokens", "reasons", "retained_mass"} <= set(schemas["KvUsage"]["properties"])
    assert "422" not in chat["responses"]
    assert page.status_code == 200


async def test_a_request_is_ended_once_and_may_settle_before_it_is_forgotten():
    settled = asyncio.Event()

    class Settling(ScriptedCore):
        async def respond(self, *arguments):
            try:
                yield chunk("hi")
                await asyncio.Event().wait()
            finally:
                # as what gives a reservation back over the network
                await asyncio.sleep(0.05)
                settled.set()

    async with served(Settling(), PATIENT) as url, httpx.AsyncClient(base_url=url) as client:
        async with client.stream("POST", TEXT, json=BODY) as response:
            await anext(response.aiter_lines())
        await asyncio.wait_for(settled.wait(), 10)
