"""The sidecar's gRPC service: how the runtime beside it should score."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
from google.protobuf.struct_pb2 import Struct

from protos.scorer.v1 import scoring_config_pb2, scoring_config_pb2_grpc
from scorer.config_file import ModelConfig
from scorer.config_source import ConfigSource


class ScoringConfigServicer(scoring_config_pb2_grpc.ScoringConfigServiceServicer):
    """Hands out what is in force for a model."""

    def __init__(self, source: ConfigSource) -> None:
        self._source = source

    async def GetScoringConfig(
        self, request: scoring_config_pb2.GetScoringConfigRequest, context: grpc.aio.ServicerContext
    ) -> scoring_config_pb2.GetScoringConfigResponse:
        config = self._source.for_model(request.model_fingerprint)
        return scoring_config_pb2.GetScoringConfigResponse(config=to_message(config))

    async def WatchScoringConfig(
        self, request: scoring_config_pb2.WatchScoringConfigRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[scoring_config_pb2.WatchScoringConfigResponse]:
        async with aclosing(self._source.watch(request.model_fingerprint)) as configs:
            async for config in configs:
                yield scoring_config_pb2.WatchScoringConfigResponse(config=to_message(config))


def to_message(config: ModelConfig) -> scoring_config_pb2.ScoringConfig:
    """`config` with its version."""
    message = scoring_config_pb2.ScoringConfig(version=config.version, **config.model_dump(exclude={"policy_params"}))
    for name, params in config.policy_params.items():
        struct = Struct()
        struct.update(params)
        message.policy_params[name].CopyFrom(struct)
    return message
