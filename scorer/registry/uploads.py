"""A published adapter as it arrives."""

from collections.abc import AsyncIterator

from protos.scorer.v1 import adapter_registry_pb2 as pb
from scorer.adapters.publishing import ChunkCutter, check_fingerprint, finish, missing_chunks
from scorer.adapters.store import AdapterStore
from scorer.registry.messages import alias_message, to_move, to_upload, version_message
from services.shared.errors import InvalidArgument, Violation


async def receive(store: AdapterStore, requests: AsyncIterator[pb.PublishAdapterRequest]) -> pb.PublishAdapterResponse:
    """The whole call. Raises what `finish` does, and InvalidArgument for parts in a wrong order."""
    start = await _first(requests)
    upload, move = to_upload(start.description), to_move(start)
    if start.model_fingerprint:
        check_fingerprint(upload, start.model_fingerprint)
    await missing_chunks(store, upload)
    cutter = ChunkCutter(store, upload)
    async for request in requests:
        if not request.HasField("piece"):
            raise InvalidArgument(Violation("part", "is not a piece; the description comes once, as the first message"))
        await cutter.add(request.piece.offset, request.piece.content)
    info, alias = await finish(store, upload, move)
    return pb.PublishAdapterResponse(version=version_message(info), alias=alias_message(alias) if alias else None)


async def _first(requests: AsyncIterator[pb.PublishAdapterRequest]) -> pb.PublishStart:
    async for request in requests:
        if request.HasField("start"):
            return request.start
        break
    raise InvalidArgument(Violation("part", "the first message is not `start`; send the description before pieces"))
