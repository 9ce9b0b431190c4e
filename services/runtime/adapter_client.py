"""Follows the sidecar's adapters, and has the engine hold them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import structlog

from protos.scorer.v1 import adapter_feed_pb2, adapter_feed_pb2_grpc
from services.runtime.adapter_table import AdapterAlias, AdapterTable, LocalAdapter
from services.runtime.adapters import AdapterInfo
from services.runtime.backends.base import Backend
from services.runtime.scorer_client import CHANNEL_OPTIONS
from services.shared.lifecycle import background

# for a sidecar that answers and refuses at once
REWATCH_SECONDS = 1.0

logger = structlog.get_logger()


class AdapterClient:
    """Keeps `table` current. Without a sidecar, or without adapters in its registry, the table stays as it is."""

    def __init__(self, target: str, table: AdapterTable, on_change: Callable[[], Awaitable[None]]) -> None:
        self._target = target
        self._table = table
        self._on_change = on_change
        self._reason = ""

    async def follow(self, backend: Backend) -> None:
        """Until cancelled."""
        async with background(self._watch(backend.info.fingerprint)):
            while True:
                await self._table.changed.wait()
                self._table.changed.clear()
                await self._match(backend)

    async def _match(self, backend: Backend) -> None:
        wanted = self._table.wanted()
        loaded = await backend.load_adapters(wanted)
        for adapter, reason in loaded.problems.items():
            logger.error("adapter not loaded", adapter=adapter, reason=reason)
        if loaded.problems:
            # nothing was dropped; what is wanted now is without those
            self._table.changed.set()
        self._table.match(loaded)
        logger.info("adapters loaded", held=sorted(loaded.held))
        await self._on_change()

    async def _watch(self, fingerprint: str) -> None:
        request = adapter_feed_pb2.WatchLocalAdaptersRequest(model_fingerprint=fingerprint)
        async with grpc.aio.insecure_channel(self._target, options=CHANNEL_OPTIONS) as channel:
            stub = adapter_feed_pb2_grpc.AdapterFeedServiceStub(channel)
            while True:
                await self._read(stub, request)
                await asyncio.sleep(REWATCH_SECONDS)

    async def _read(
        self, stub: adapter_feed_pb2_grpc.AdapterFeedServiceStub, request: adapter_feed_pb2.WatchLocalAdaptersRequest
    ) -> None:
        why = "the scorer ended the stream"
        try:
            async for response in stub.WatchLocalAdapters(request, wait_for_ready=True):
                self._reason = ""
                aliases = {alias.name: to_alias(alias) for alias in response.aliases}
                if aliases != self._table.aliases:
                    self._table.update(aliases)
        except grpc.aio.AioRpcError as error:
            why = f"{error.code().name}: {error.details()}"
        if why != self._reason:
            logger.warning("adapters stay as they are", reason=why, target=self._target)
        self._reason = why


def to_alias(message: adapter_feed_pb2.LocalAlias) -> AdapterAlias:
    """Of what the sidecar sent."""
    if not message.HasField("adapter"):
        return AdapterAlias(None, message.problem, message.share)
    sent = message.adapter
    info = AdapterInfo(sent.adapter, sent.version, sent.sha256, sent.lookahead_tokens)
    return AdapterAlias(LocalAdapter(sent.id, Path(sent.folder), sent.size_bytes, info), message.problem, message.share)
