"""The adapter store on a Cluster, behind Sentinel, over TLS and through a socket."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from scorer.adapters.redis_keys import INDEX
from scorer.adapters.store_errors import StoreUnavailable
from scorer.adapters.store_values import VersionId
from tests.adapter_uploads import ADAPTER, make_upload, make_weights, publish, publish_small, read_all
from tests.integration.stores import store_at
from tests.processes import free_port, poll
from tests.redis_servers import SERVERS, RedisServer, server_program


@pytest.fixture(params=SERVERS)
def program(request: pytest.FixtureRequest) -> str:
    return server_program(request.param)


@pytest.fixture
def servers() -> Iterator[list[RedisServer]]:
    """Killed at the end of the test."""
    started: list[RedisServer] = []
    yield started
    for server in started:
        server.kill()


async def _use(url, options=None):
    """Everything once, with a file of three chunks."""
    weights = make_weights()
    upload = make_upload(weights, 2)
    async with store_at(url, options) as store:
        await publish_small(store, 1)
        await publish(store, upload, weights)
        await store.set_alias(ADAPTER, "default", 2, generation=2)
        assert await read_all(store, await store.open(upload.version)) == weights
        assert [event.kind for event in await store.events(ADAPTER, 0, 1)] == [
            "published",
            "alias",
            "published",
            "alias",
        ]
        assert (await store.adapters()).adapters == (ADAPTER,)
        await store.delete_version(VersionId(ADAPTER, 1))
        assert [version.number for version in await store.versions(ADAPTER)] == [2]


async def test_on_a_cluster(program, servers, tmp_path):
    # the default, 10,000 above the port, may be none
    server = RedisServer(program, tmp_path, cluster_enabled="yes", cluster_port=str(free_port()), appendonly="no")
    servers.append(server)
    with server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await asyncio.to_thread(
            poll, lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"), 20, lambda: "no cluster"
        )
        await _use(f"redis+cluster://127.0.0.1:{server.port}")
        keys = [key for key in client.scan_iter() if not key.startswith(INDEX.encode())]
        assert len({client.execute_command("CLUSTER", "KEYSLOT", key) for key in keys}) == 1
        assert len({key_slot(key) for key in keys}) == 1
        assert len(keys) > 5


async def test_a_cluster_that_is_away_is_a_sentence():
    with pytest.raises(StoreUnavailable, match="127.0.0.1"):
        async with store_at(f"redis+cluster://127.0.0.1:{free_port()}", {"retries": 0}):
            pass


async def test_behind_sentinel(program, servers, tmp_path):
    master = RedisServer(program, tmp_path, appendonly="no")
    servers.append(master)
    watching = tmp_path / "sentinel"
    watching.mkdir()
    config = watching / "sentinel.conf"
    config.write_text(f"sentinel monitor adapters 127.0.0.1 {master.port} 1\n")
    sentinel = RedisServer(program, watching, sentinel_file=config)
    servers.append(sentinel)
    await _use(f"redis+sentinel://127.0.0.1:{sentinel.port}/adapters")
    with pytest.raises(StoreUnavailable):
        async with store_at(f"redis+sentinel://127.0.0.1:{sentinel.port}/others", {"retries": 0}):
            pass


async def test_through_a_socket(program, servers, tmp_path):
    servers.append(RedisServer(program, tmp_path, unixsocket=str(tmp_path / "s"), appendonly="no"))
    await _use(f"unix://{tmp_path / 's'}")


async def test_over_tls(program, servers, tmp_path):
    key, certificate = _certificate(tmp_path)
    port = free_port()
    options: dict[str, Any] = {
        "tls_port": str(port),
        "tls_cert_file": certificate,
        "tls_key_file": key,
        "tls_ca_cert_file": certificate,
    }
    try:
        servers.append(RedisServer(program, tmp_path, tls_auth_clients="no", appendonly="no", **options))
    except AssertionError:
        if "tls" not in (tmp_path / "log").read_text().lower():
            raise
        pytest.skip("this server was built without TLS")
    await _use(f"rediss://127.0.0.1:{port}", {"ca_file": certificate})
    with pytest.raises(StoreUnavailable, match="(?i)certificate"):
        async with store_at(f"rediss://127.0.0.1:{port}", {"retries": 0}):
            pass


def _certificate(folder: Path) -> tuple[str, str]:
    """A key and a certificate of 127.0.0.1 that vouches for itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed; the test makes a certificate with it")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate
