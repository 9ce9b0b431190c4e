"""What a runtime hears of the adapters on its disk."""

from collections.abc import Callable

import grpc

from protos.scorer.v1 import adapter_feed_pb2 as pb
from protos.scorer.v1 import adapter_feed_pb2_grpc
from tests.integration.clients import CONVERGE_SECONDS, Client, until

Aliases = dict[str, pb.LocalAlias]


class Feed:
    """An open stream."""

    def __init__(self, client: Client, fingerprint: str) -> None:
        stub = adapter_feed_pb2_grpc.AdapterFeedServiceStub(client.channel)
        self.call = stub.WatchLocalAdapters(pb.WatchLocalAdaptersRequest(model_fingerprint=fingerprint))

    async def read(self) -> Aliases:
        """The next state, by alias."""
        message = await self.call.read()
        assert message is not grpc.aio.EOF, "the stream ended"
        return {alias.name: alias for alias in message.aliases}

    async def until(self, good: Callable[[Aliases], bool]) -> Aliases:
        """The first state that is good; there must be one in time."""
        return await until(self.read, good, CONVERGE_SECONDS)


def versions(aliases: Aliases) -> dict[str, int]:
    """The version of each alias that serves."""
    return {name: alias.adapter.version for name, alias in aliases.items() if alias.HasField("adapter")}
