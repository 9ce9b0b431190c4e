"""Requests over HTTP that are refused, each in the shape that OpenAI's clients know, without harm to the next one."""

import asyncio
import json
import re
import socket
from ipaddress import ip_network

import httpx
import pytest
from structlog.testing import capture_logs

from router.http.gate import BODY_SECONDS
from router.identity import SingleTenant
from router.trusted_hop import TrustedHop
from tests.integration.http_calls import ScriptedCore, chunk, complete, served

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
LIMIT = 10_000


def body(**fields) -> bytes:
    return json.dumps({"prompt": "w1"} | fields).encode()


BODIES = [
    (TEXT, b"", 400, "body: is missing"),
    (TEXT, b"{", 400, "body: is not JSON: "),
    (TEXT, b"null", 400, "body: "),
    (TEXT, b"[]", 400, "body: []: is no JSON object"),
    (TEXT, b'"w1"', 400, "body: 'w1': is no JSON object"),
    (TEXT, b'{"prompt": "\xff"}', 400, "body: cannot be read; send JSON in UTF-8"),
    (TEXT, b'{"prompt": "\\ud800"}', 400, "prompt: '\\ud800': holds half of a surrogate pair"),
    (TEXT, b"[" * 9000, 400, "body: cannot be read"),
    (TEXT, b'{"prompt": "w1", "temperature": NaN}', 400, "temperature: nan"),
    (TEXT, b"{}", 400, "prompt: is missing"),
    (TEXT, body(prompt=None), 400, "prompt: is missing"),
    (TEXT, body(prompt=["a", "b"]), 400, "is not one prompt; send a request for each"),
    (TEXT, body(promt="w1"), 400, "promt: is not known here; leave it out"),
    (TEXT, body(n=2), 400, "n: 2: is not supported here; leave it out"),
    (TEXT, body(echo=True), 400, "echo: True: is not supported here"),
    (TEXT, body(max_tokens=10**30), 400, "max_tokens: 1000000"),
    (TEXT, body(prompt="x" * LIMIT), 413, "the limit is 10000; send a shorter prompt"),
    (CHAT, body(), 400, "messages: is missing; prompt: is not known here"),
    (CHAT, b'{"messages": []}', 400, "messages: []: "),
    (CHAT, b'{"messages": [{"role": "user", "content": "x"}]}', 400, "messages: the model has no chat template"),
]


async def test_each_bad_body_is_refused_by_name_and_the_next_request_is_served():
    core = ScriptedCore(chunk("hi"), complete())
    async with served(core, max_body_bytes=LIMIT) as url, httpx.AsyncClient(base_url=url) as client:
        for path, content, status, sentence in BODIES:
            answer = await client.post(path, content=content)
            error = answer.json()["error"]
            assert (answer.status_code, sentence in error["message"]) == (status, True), (sentence, error)
            assert set(error) == {"message", "type", "param", "code"}
            assert error["type"] == "invalid_request_error" and answer.headers["x-request-id"]
        good = await client.post(TEXT, content=body())
    assert good.json()["choices"][0]["text"] == "hi"
    # nothing of the others came so far
    assert len(core.requests) == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", TEXT, 405, "GET /v1/completions: Method Not Allowed"),
        ("PUT", CHAT, 405, "PUT /v1/chat/completions: Method Not Allowed"),
        ("POST", "/v1/embeddings", 404, "POST /v1/embeddings: Not Found; /openapi.json says what there is"),
        ("GET", "/nothing", 404, "GET /nothing: Not Found"),
        ("GET", "/v1/models/other", 404, "model: 'other' is not here; known: tiny"),
    ],
)
async def test_a_path_or_method_that_is_not_there_is_refused_in_the_same_shape(method, path, status, sentence):
    async with served(ScriptedCore()) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.request(method, path)
    assert (answer.status_code, sentence in answer.json()["error"]["message"]) == (status, True)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-slo-ttft-ms", "soon"),
        ("x-slo-tpot-ms", "-1"),
        ("x-slo-tpot-ms", "nan"),
        ("x-slo-ttft-ms", "inf"),
        ("x-envoy-expected-rq-timeout-ms", "0"),
        ("x-request-id", "\xe9"),
    ],
)
async def test_a_header_that_is_wrong_is_refused_by_its_name(header, value):
    async with served(ScriptedCore()) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.post(TEXT, content=body(), headers={header: value.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, header)


async def test_another_type_than_json_is_refused_and_none_is_taken_for_json():
    core = ScriptedCore(complete())
    async with served(core) as url, httpx.AsyncClient(base_url=url) as client:
        form = await client.post(TEXT, content=body(), headers={"content-type": "application/x-www-form-urlencoded"})
        plain = await client.post(TEXT, content=body())
    assert (form.status_code, "send it as application/json" in form.text) == (400, True)
    assert plain.status_code == 200


async def test_a_body_without_a_declared_size_is_cut_off_at_the_limit():
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 100 * LIMIT:
            sent += LIMIT // 2
            yield b"x" * (LIMIT // 2)

    async with served(ScriptedCore(), max_body_bytes=LIMIT) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.post(TEXT, content=endless())
    assert answer.status_code == 413


async def test_bytes_that_are_no_http_end_their_connection_only():
    async with served(ScriptedCore(complete())) as url, httpx.AsyncClient(base_url=url) as client:
        host, port = re.findall(r"//(.*):(.*)", url)[0]
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x00\x01\x02 no http\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        assert (await client.post(TEXT, content=body())).status_code == 200


async def test_a_client_that_leaves_within_its_body_is_forgotten():
    core = ScriptedCore(complete())
    async with served(core) as url, httpx.AsyncClient(base_url=url) as client:
        host, port = re.findall(r"//(.*):(.*)", url)[0]
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        assert (await client.post(TEXT, content=body())).status_code == 200
    assert len(core.requests) == 1


async def test_a_body_that_does_not_come_is_given_up(monkeypatch):
    monkeypatch.setattr("router.http.gate.BODY_SECONDS", 0.05)
    assert BODY_SECONDS == 60
    async with served(ScriptedCore()) as url:
        host, port = re.findall(r"//(.*):(.*)", url)[0]
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        assert b"408" in await reader.readline()
        writer.close()


@pytest.mark.parametrize(
    ("network", "headers", "tenant"),
    [
        ("127.0.0.0/8", {"x-lookaheadkv-tenant": "acme"}, "acme"),
        ("127.0.0.0/8", {"x-smg-tenant-id": "acme"}, "acme"),
        ("10.0.0.0/8", {"x-lookaheadkv-tenant": "acme"}, "default"),
        ("10.0.0.0/8", {"x-lookaheadkv-tenant": "acme", "x-forwarded-for": "10.0.0.1"}, "default"),
        ("10.0.0.0/8", {"x-lookaheadkv-tenant": "acme", "forwarded": "for=10.0.0.1"}, "default"),
    ],
)
async def test_a_tenants_header_is_believed_by_the_address_of_the_connection_alone(network, headers, tenant):
    callers = TrustedHop((ip_network(network),), SingleTenant())
    with capture_logs() as logs:
        async with served(ScriptedCore(complete()), callers=callers) as url, httpx.AsyncClient(base_url=url) as client:
            await client.post(TEXT, content=body(), headers=headers)
    assert [line["tenant"] for line in logs if line["event"] == "request"] == [tenant]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize(("host", "reached"), [("::1", "[::1]"), ("::", "[::1]"), ("::", "127.0.0.1")])
async def test_addresses_of_both_kinds_are_served_and_told_apart(host, reached):
    callers = TrustedHop((ip_network("127.0.0.0/8"),), SingleTenant())
    with capture_logs() as logs:
        async with served(ScriptedCore(complete()), callers=callers, host=host) as url, httpx.AsyncClient() as client:
            port = httpx.URL(url).port
            headers = {"x-lookaheadkv-tenant": "acme"}
            answer = await client.post(f"http://{reached}:{port}{TEXT}", content=body(), headers=headers)
    assert answer.status_code == 200
    wanted = "acme" if reached == "127.0.0.1" else "default"
    assert [line["tenant"] for line in logs if line["event"] == "request"] == [wanted]
