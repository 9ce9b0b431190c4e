"""What a publisher and a runtime ask of the adapter registry, in as few words as a test wants."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from protos.scorer.v1 import adapter_registry_pb2 as pb
from protos.scorer.v1 import adapter_registry_pb2_grpc
from scorer.adapters.config import CONFIG_FILE
from scorer.adapters.manifest import MANIFEST_FILE, WEIGHTS_FILE, Manifest
from scorer.adapters.shipped import FOLDER
from scorer.adapters.store_values import Upload
from tests.integration.clients import Client

REGISTRY = "lookaheadkv.scorer.v1.AdapterRegistryService"
# of no size that divides a chunk
PIECE_BYTES = 300_001

SHIPPED = FOLDER / "SmolLM2-135M-Instruct"
MANIFEST = Manifest.from_json((SHIPPED / MANIFEST_FILE).read_bytes())
CONTENTS = {name: (SHIPPED / name).read_bytes() for name in (CONFIG_FILE, WEIGHTS_FILE)}
NAME = f"models/{MANIFEST.model}/adapters/{MANIFEST.adapter}"
FINGERPRINT = MANIFEST.model_fingerprint


def version(number: int, **changes: Any) -> Manifest:
    """The shipped adapter under another number."""
    return MANIFEST.model_copy(update={"version": number, **changes})


def stub(channel: grpc.aio.Channel) -> adapter_registry_pb2_grpc.AdapterRegistryServiceStub:
    """The RPCs."""
    return adapter_registry_pb2_grpc.AdapterRegistryServiceStub(channel)


def describe(manifest: Manifest, contents: Mapping[str, bytes], **changes: Any) -> pb.AdapterDescription:
    """What is sent before the weights."""
    upload = Upload.of(manifest, contents[CONFIG_FILE], contents[WEIGHTS_FILE])
    fields = {"manifest": manifest.to_json(), "config": upload.config, "chunk_sums": upload.chunk_sums}
    return pb.AdapterDescription(**(fields | changes))


async def parts(
    description: pb.AdapterDescription, weights: bytes, start: int = 0, piece_bytes: int = PIECE_BYTES, **fields: Any
) -> AsyncIterator[pb.PublishAdapterRequest]:
    """The description, then the weights from byte `start` on."""
    yield pb.PublishAdapterRequest(start=pb.PublishStart(description=description, **fields))
    for offset in range(start, len(weights), piece_bytes):
        piece = pb.WeightsPiece(offset=offset, content=weights[offset : offset + piece_bytes])
        yield pb.PublishAdapterRequest(piece=piece)


async def publish(
    channel: grpc.aio.Channel, manifest: Manifest, contents: Mapping[str, bytes], **fields: Any
) -> pb.PublishAdapterResponse:
    """Everything in one call."""
    weights = contents[WEIGHTS_FILE]
    return await stub(channel).PublishAdapter(parts(describe(manifest, contents), weights, **fields))


async def get(client: Client) -> pb.Adapter:
    """The adapter as it is now."""
    return (await stub(client.channel).GetAdapter(pb.GetAdapterRequest(name=NAME))).adapter


async def move(client: Client, number: int, generation: int, alias: str = "default") -> pb.Alias:
    """The alias, pointing at version `number`."""
    request = pb.SetAliasRequest(name=NAME, alias=alias, version=number, generation=generation)
    return (await stub(client.channel).SetAlias(request)).alias


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    """The error that ends a call; there must be one."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


def details(error: grpc.aio.AioRpcError, kind: Callable[[], Any]) -> Any:
    """The detail of this kind, None when the error has none."""
    status = rpc_status.from_call(error)
    found = kind()
    return next((found for detail in status.details if detail.Unpack(found)), None) if status else None


async def nothing_is_visible(registry: Client) -> bool:
    """Whether neither the adapter nor any other is shown."""
    error = await refusal(stub(registry.channel).GetAdapter(pb.GetAdapterRequest(name=NAME)))
    listed = await stub(registry.channel).ListAdapters(pb.ListAdaptersRequest())
    return error.code() == grpc.StatusCode.NOT_FOUND and not listed.adapters
