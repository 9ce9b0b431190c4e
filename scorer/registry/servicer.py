"""The registry's gRPC service."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from protos.scorer.v1 import adapter_registry_pb2 as pb
from protos.scorer.v1 import adapter_registry_pb2_grpc
from scorer.adapters.publishing import missing_chunks
from scorer.adapters.store_values import CHUNK_BYTES, AdapterId
from scorer.adapters.watching import Watch, read_state
from scorer.registry.connection import StoreConnection
from scorer.registry.downloads import download
from scorer.registry.errors import as_statuses
from scorer.registry.messages import adapter_message, alias_message, to_upload, update_message
from scorer.registry.names import parse_adapter, parse_version
from scorer.registry.uploads import receive
from services.shared.errors import InvalidArgument, NotFound, Violation

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


class AdapterRegistryServicer(adapter_registry_pb2_grpc.AdapterRegistryServiceServicer):
    """What operators and runtimes ask of the store of adapters."""

    def __init__(self, connection: StoreConnection) -> None:
        self._connection = connection

    async def BeginPublish(
        self, request: pb.BeginPublishRequest, context: grpc.aio.ServicerContext
    ) -> pb.BeginPublishResponse:
        with as_statuses("the upload", sent=True):
            missing = await missing_chunks(self._connection.store(), to_upload(request.description))
        return pb.BeginPublishResponse(missing_chunks=missing, chunk_bytes=CHUNK_BYTES)

    async def PublishAdapter(
        self, requests: AsyncIterator[pb.PublishAdapterRequest], context: grpc.aio.ServicerContext
    ) -> pb.PublishAdapterResponse:
        with as_statuses("the upload", sent=True):
            return await receive(self._connection.store(), requests)

    async def GetAdapter(
        self, request: pb.GetAdapterRequest, context: grpc.aio.ServicerContext
    ) -> pb.GetAdapterResponse:
        adapter = parse_adapter(request.name)
        with as_statuses(request.name):
            state = await read_state(self._connection.store(), adapter)
        if not state.versions:
            raise NotFound("adapter", request.name, sentence=f"name: {request.name!r} has no version; list the others")
        return pb.GetAdapterResponse(adapter=adapter_message(state))

    async def ListAdapters(
        self, request: pb.ListAdaptersRequest, context: grpc.aio.ServicerContext
    ) -> pb.ListAdaptersResponse:
        size = request.page_size if request.HasField("page_size") else DEFAULT_PAGE_SIZE
        if not 1 <= size <= MAX_PAGE_SIZE:
            raise InvalidArgument(Violation("page_size", f"{size} is not between 1 and {MAX_PAGE_SIZE}"))
        store = self._connection.store()
        with as_statuses("adapters"):
            page = await store.adapters(request.model_fingerprint or None, request.page_token, size)
            states = [await read_state(store, adapter) for adapter in page.adapters]
        return pb.ListAdaptersResponse(adapters=map(adapter_message, states), next_page_token=page.next_after)

    async def DownloadAdapter(
        self, request: pb.DownloadAdapterRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.DownloadAdapterResponse]:
        with as_statuses(request.name):
            async with aclosing(download(self._connection.store(), request)) as responses:
                async for response in responses:
                    yield response

    async def SetAlias(self, request: pb.SetAliasRequest, context: grpc.aio.ServicerContext) -> pb.SetAliasResponse:
        version = parse_version(request.name, request.version)
        share = request.share if request.HasField("share") else None
        with as_statuses(request.name):
            alias = await self._connection.store().set_alias(
                version.adapter, request.alias, version.number, request.generation, share
            )
        return pb.SetAliasResponse(alias=alias_message(alias))

    async def RemoveAlias(
        self, request: pb.RemoveAliasRequest, context: grpc.aio.ServicerContext
    ) -> pb.RemoveAliasResponse:
        adapter: AdapterId = parse_adapter(request.name)
        with as_statuses(request.name):
            await self._connection.store().remove_alias(adapter, request.alias, request.generation)
        return pb.RemoveAliasResponse()

    async def DeleteVersion(
        self, request: pb.DeleteVersionRequest, context: grpc.aio.ServicerContext
    ) -> pb.DeleteVersionResponse:
        version = parse_version(request.name, request.version)
        with as_statuses(request.name):
            await self._connection.store().delete_version(version)
        return pb.DeleteVersionResponse()

    async def WatchAdapters(
        self, request: pb.WatchAdaptersRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchAdaptersResponse]:
        if not request.model_fingerprint:
            raise InvalidArgument(Violation("model_fingerprint", "is empty; name the model whose adapters to follow"))
        with as_statuses("adapters"):
            watch = Watch(self._connection.store(), request.model_fingerprint)
            async with aclosing(self._connection.until_closed(watch.updates())) as updates:
                async for update in updates:
                    yield update_message(update)
