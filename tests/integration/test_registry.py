"""The adapter registry: a real sidecar, real gRPC and a real store."""

from grpc import StatusCode

from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters.manifest import WEIGHTS_FILE, Manifest
from scorer.adapters.store_values import CHUNK_BYTES
from tests.integration.registry_client import (
    CONTENTS,
    FINGERPRINT,
    MANIFEST,
    NAME,
    get,
    publish,
    refusal,
    stub,
    version,
)


async def download(registry, **fields) -> tuple[pb.AdapterDescription, bytes, int]:
    call = stub(registry.channel).DownloadAdapter(pb.DownloadAdapterRequest(name=NAME, **fields))
    first, *rest = [response async for response in call]
    return first.description, b"".join(item.piece.content for item in rest), rest[0].piece.offset if rest else 0


async def test_published_adapter_is_listed_moved_downloaded_and_deleted(registry):
    rpc = stub(registry.channel)
    response = await publish(registry.channel, MANIFEST, CONTENTS, model_fingerprint=FINGERPRINT)
    canary = pb.AliasMove(alias="canary")
    second = await publish(registry.channel, version(2), CONTENTS, move_alias=canary)
    listed = await rpc.ListAdapters(pb.ListAdaptersRequest(model_fingerprint=FINGERPRINT))
    none = await rpc.ListAdapters(pb.ListAdaptersRequest(model_fingerprint="0" * 32))
    description, weights, _ = await download(registry, alias="canary")
    _, rest, offset = await download(registry, version=1, first_chunk=1)
    refused = await refusal(rpc.DeleteVersion(pb.DeleteVersionRequest(name=NAME, version=2)))
    await rpc.RemoveAlias(pb.RemoveAliasRequest(name=NAME, alias="canary", generation=second.alias.generation))
    await rpc.DeleteVersion(pb.DeleteVersionRequest(name=NAME, version=2))
    after = await get(registry)
    assert (response.version.number, response.version.model_fingerprint) == (1, FINGERPRINT)
    assert (second.alias.name, second.alias.version) == ("canary", 2)
    assert [adapter.name for adapter in listed.adapters] == [NAME] and not none.adapters
    assert {alias.name: alias.version for alias in listed.adapters[0].aliases} == {"default": 1, "canary": 2}
    assert Manifest.from_json(description.manifest) == version(2)
    assert weights == CONTENTS[WEIGHTS_FILE]
    assert rest == CONTENTS[WEIGHTS_FILE][offset:] and offset == CHUNK_BYTES
    assert refused.code() == StatusCode.FAILED_PRECONDITION and "canary" in refused.details()
    assert [info.number for info in after.versions] == [1]


async def test_share_is_kept_when_the_alias_moves_and_all_together_are_at_most_one(registry):
    rpc = stub(registry.channel)

    async def give(alias: str, share: float | None, generation: int = 0) -> pb.Alias:
        request = pb.SetAliasRequest(name=NAME, alias=alias, version=1, generation=generation, share=share)
        return (await rpc.SetAlias(request)).alias

    await publish(registry.channel, MANIFEST, CONTENTS)
    canary = await give("canary", 0.75)
    moved = await give("canary", None, canary.generation)
    too_much = await refusal(give("beta", 0.5))
    wrong = [await refusal(give(alias, share)) for alias, share in (("beta", 1.5), ("beta", -1), ("default", 0.5))]
    assert moved.share == canary.share == 0.75
    assert too_much.details() == "share: 0.5 and the 0.75 of other aliases are more than 1; lower one of them"
    assert {error.code() for error in (too_much, *wrong)} == {StatusCode.INVALID_ARGUMENT}
    assert all(error.details().startswith("share: ") for error in wrong)
    assert {alias.name for alias in (await get(registry)).aliases} == {"default", "canary"}


async def test_pages_are_in_order_and_hold_every_adapter_once(registry):
    for name in ("c", "a", "b"):
        await publish(registry.channel, version(1, adapter=name), CONTENTS)
    names: list[str] = []
    token = ""
    while not names or token:
        page = await stub(registry.channel).ListAdapters(pb.ListAdaptersRequest(page_size=1, page_token=token))
        names += [adapter.name.rsplit("/", 1)[1] for adapter in page.adapters]
        token = page.next_page_token
    wrong = await refusal(stub(registry.channel).ListAdapters(pb.ListAdaptersRequest(page_size=0)))
    assert names == ["a", "b", "c"]
    assert wrong.code() == StatusCode.INVALID_ARGUMENT and wrong.details().startswith("page_size: ")
