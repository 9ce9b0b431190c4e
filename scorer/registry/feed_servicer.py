"""The gRPC service that the runtime follows for its adapters."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc

from protos.scorer.v1 import adapter_feed_pb2 as pb
from protos.scorer.v1 import adapter_feed_pb2_grpc
from scorer.adapters.cache import CachedAdapter
from scorer.registry.connection import StoreConnection
from scorer.registry.feed import AdapterFeeds
from scorer.registry.model_feed import LocalAliases
from scorer.registry.names import version_name


class AdapterFeedServicer(adapter_feed_pb2_grpc.AdapterFeedServiceServicer):
    """Tells which adapters lie on this disk."""

    def __init__(self, connection: StoreConnection, feeds: AdapterFeeds) -> None:
        self._connection = connection
        self._feeds = feeds

    async def WatchLocalAdapters(
        self, request: pb.WatchLocalAdaptersRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchLocalAdaptersResponse]:
        states = self._feeds.states(request.model_fingerprint)
        async with aclosing(self._connection.until_closed(states)) as open_states:
            async for state in open_states:
                yield state_message(state)


def state_message(state: LocalAliases) -> pb.WatchLocalAdaptersResponse:
    """Each alias with its folder."""
    return pb.WatchLocalAdaptersResponse(
        aliases=[
            pb.LocalAlias(
                name=name,
                adapter=adapter_message(alias.adapter) if alias.adapter else None,
                problem=alias.problem,
                share=alias.share,
            )
            for name, alias in state.items()
        ]
    )


def adapter_message(adapter: CachedAdapter) -> pb.LocalAdapter:
    """A folder with what a runtime needs to know before it loads it."""
    return pb.LocalAdapter(
        id=version_name(adapter.version),
        folder=str(adapter.folder.absolute()),
        adapter=adapter.version.adapter.name,
        version=adapter.version.number,
        sha256=adapter.sha256,
        size_bytes=adapter.size_bytes,
        lookahead_tokens=adapter.lookahead_tokens,
    )
