"""The adapter registry: a real sidecar, real gRPC and a real store, and what goes wrong between them."""

import pytest
from grpc import StatusCode

from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters.config import CONFIG_FILE
from scorer.adapters.manifest import MANIFEST_FILE, WEIGHTS_FILE, Manifest
from scorer.adapters.shipped import FOLDER
from tests.integration.clients import Client
from tests.integration.registry_client import REGISTRY, publish, refusal, stub
from tests.processes import ROOT
from tests.redis_servers import RedisServer, server_program

SHIPPED = FOLDER / "SmolLM2-135M-Instruct"
MANIFEST = Manifest.from_json((SHIPPED / MANIFEST_FILE).read_bytes())
CONTENTS = {name: (SHIPPED / name).read_bytes() for name in (CONFIG_FILE, WEIGHTS_FILE)}
NAME = f"models/{MANIFEST.model}/adapters/{MANIFEST.adapter}"
FINGERPRINT = MANIFEST.model_fingerprint


def version(number: int, **changes) -> Manifest:
    return MANIFEST.model_copy(update={"version": number, **changes})


@pytest.fixture
def server(tmp_path):
    server = RedisServer(server_program("valkey"), tmp_path)
    yield server
    server.kill()


@pytest.fixture
async def client(start_scorer, server):
    scorer = start_scorer(ROOT / "scorer" / "scoring.yaml", SCORER_REDIS_URL=server.url)
    async with Client(scorer.target) as client:
        yield await client.ready(REGISTRY)


async def get(client) -> pb.Adapter:
    return (await stub(client.channel).GetAdapter(pb.GetAdapterRequest(name=NAME))).adapter


async def move(client, number: int, generation: int, alias: str = "default") -> pb.Alias:
    request = pb.SetAliasRequest(name=NAME, alias=alias, version=number, generation=generation)
    return (await stub(client.channel).SetAlias(request)).alias


async def download(client, **fields) -> tuple[pb.AdapterDescription, bytes, int]:
    call = stub(client.channel).DownloadAdapter(pb.DownloadAdapterRequest(name=NAME, **fields))
    first, *rest = [response async for response in call]
    return first.description, b"".join(item.piece.content for item in rest), rest[0].piece.offset if rest else 0


async def test_published_adapter_is_listed_moved_downloaded_and_deleted(client):
    rpc = stub(client.channel)
    response = await publish(client.channel, MANIFEST, CONTENTS, model_fingerprint=FINGERPRINT)
    canary = pb.AliasMove(alias="canary")
    second = await publish(client.channel, version(2), CONTENTS, move_alias=canary)
    listed = await rpc.ListAdapters(pb.ListAdaptersRequest(model_fingerprint=FINGERPRINT))
    none = await rpc.ListAdapters(pb.ListAdaptersRequest(model_fingerprint="0" * 32))
    description, weights, _ = await download(client, alias="canary")
    _, rest, offset = await download(client, version=1, first_chunk=1)
    refused = await refusal(rpc.DeleteVersion(pb.DeleteVersionRequest(name=NAME, version=2)))
    await rpc.RemoveAlias(pb.RemoveAliasRequest(name=NAME, alias="canary", generation=second.alias.generation))
    await rpc.DeleteVersion(pb.DeleteVersionRequest(name=NAME, version=2))
    after = await get(client)
    assert (response.version.number, response.version.model_fingerprint) == (1, FINGERPRINT)
    assert (second.alias.name, second.alias.version) == ("canary", 2)
    assert [adapter.name for adapter in listed.adapters] == [NAME] and not none.adapters
    assert {alias.name: alias.version for alias in listed.adapters[0].aliases} == {"default": 1, "canary": 2}
    assert Manifest.from_json(description.manifest) == version(2)
    assert weights == CONTENTS[WEIGHTS_FILE]
    assert rest == CONTENTS[WEIGHTS_FILE][offset:] and offset == 4 << 20
    assert refused.code() == StatusCode.FAILED_PRECONDITION and "canary" in refused.details()
    assert [info.number for info in after.versions] == [1]
