"""Follows the scorer sidecar, and keeps a usable scoring configuration when the sidecar is away."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import grpc
import structlog

from protos.scorer.v1 import scoring_config_pb2, scoring_config_pb2_grpc
from services.runtime.eviction import ScoringDefaults
from services.runtime.scoring_config import to_defaults

logger = structlog.get_logger()

# the channel reconnects by itself, and a call that waits for it goes out as soon as the sidecar is back
CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 5000),
    # the sidecar is in the same pod
    ("grpc.enable_http_proxy", 0),
]
# for a sidecar that answers and refuses at once
REWATCH_SECONDS = 0.2


class ScorerClient:
    """Fresh configuration, else the last known one, else the built-in one: `defaults` says which."""

    def __init__(self, target: str, on_change: Callable[[ScoringDefaults], Awaitable[None]]) -> None:
        self.defaults = ScoringDefaults()
        self._target = target
        self._on_change = on_change

    async def follow(self, fingerprint: str) -> None:
        """Keep `defaults` current for the model with this fingerprint, until cancelled."""
        await self._use(self.defaults)
        request = scoring_config_pb2.WatchScoringConfigRequest(model_fingerprint=fingerprint)
        async with grpc.aio.insecure_channel(self._target, options=CHANNEL_OPTIONS) as channel:
            stub = scoring_config_pb2_grpc.ScoringConfigServiceStub(channel)
            while True:
                await self._watch(stub, request)
                await asyncio.sleep(REWATCH_SECONDS)

    async def _watch(
        self,
        stub: scoring_config_pb2_grpc.ScoringConfigServiceStub,
        request: scoring_config_pb2.WatchScoringConfigRequest,
    ) -> None:
        why = "the scorer ended the stream"
        try:
            async for response in stub.WatchScoringConfig(request, wait_for_ready=True):
                await self._apply(response.config)
        except grpc.aio.AioRpcError as error:
            why = f"{error.code().name}: {error.details()}"
        await self._stale("scoring configuration lost", why)

    async def _apply(self, config: scoring_config_pb2.ScoringConfig) -> None:
        try:
            # the first check of a policy imports torch, which takes seconds
            defaults = await asyncio.to_thread(to_defaults, config)
        except ValueError as error:
            await self._stale("scoring configuration refused", str(error))
        else:
            await self._use(defaults)

    async def _stale(self, event: str, why: str) -> None:
        logger.warning(event, reason=why, target=self._target)
        if self.defaults.source == "scorer":
            await self._use(replace(self.defaults, source="last_known"))

    async def _use(self, defaults: ScoringDefaults) -> None:
        self.defaults = defaults
        logger.info("scoring configuration", source=defaults.source, version=defaults.version, policy=defaults.policy)
        await self._on_change(defaults)
