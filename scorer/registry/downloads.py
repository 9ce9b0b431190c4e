"""An adapter as it leaves."""

from collections.abc import AsyncGenerator

from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters.store import AdapterStore
from scorer.adapters.store_errors import NotInStore
from scorer.adapters.store_values import CHUNK_BYTES, DEFAULT_ALIAS, VersionId
from scorer.registry.messages import description_message
from scorer.registry.names import parse_adapter, parse_version
from services.shared.errors import InvalidArgument, Violation

# so that a caller with gRPC's usual limit can read it
PIECE_BYTES = 1 << 20


async def download(
    store: AdapterStore, request: pb.DownloadAdapterRequest
) -> AsyncGenerator[pb.DownloadAdapterResponse, None]:
    """The description, then the weights from `first_chunk` on; without a version or alias, of `default`."""
    upload = await store.open(await _version(store, request))
    chunks = len(upload.chunk_sums)
    if not 0 <= request.first_chunk <= chunks:
        raise InvalidArgument(Violation("first_chunk", f"{request.first_chunk} is not between 0 and {chunks}"))
    yield pb.DownloadAdapterResponse(description=description_message(upload))
    offset = 0
    async for content in store.read(upload):
        # those before are read, too: only so the sum of the whole file can be checked
        if offset >= request.first_chunk * CHUNK_BYTES:
            for start in range(0, len(content), PIECE_BYTES):
                piece = pb.WeightsPiece(offset=offset + start, content=content[start : start + PIECE_BYTES])
                yield pb.DownloadAdapterResponse(piece=piece)
        offset += len(content)


async def _version(store: AdapterStore, request: pb.DownloadAdapterRequest) -> VersionId:
    if request.WhichOneof("which") == "version":
        return parse_version(request.name, request.version)
    adapter, name = parse_adapter(request.name), request.alias or DEFAULT_ALIAS
    alias = (await store.aliases(adapter)).by_name.get(name)
    if alias is None:
        raise NotInStore(f"{adapter}: has no alias {name!r}; list the adapter")
    return VersionId(adapter, alias.version)
