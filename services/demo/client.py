"""One `Generate` call as a client sees it: the answer as it comes, and how long it took."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from protos.generation.v1 import generation_pb2, generation_pb2_grpc


class NoAnswer(Exception):
    """The stream ended without a last message."""


@dataclass(frozen=True)
class Answer:
    """All tokens of an answer. Times are the client's own: gRPC and router included."""

    token_ids: list[int]
    ttft_seconds: float
    decode_tokens_per_s: float
    complete: generation_pb2.GenerateComplete


def ask(channel: grpc.Channel, request: generation_pb2.GenerateRequest, show: Callable[[list[int]], None]) -> Answer:
    """The whole answer; calls `show` with all tokens so far whenever more have come.

    Raises grpc.RpcError when the call fails, NoAnswer when it ends too early.
    """
    began, arrivals, token_ids, complete = time.monotonic(), [], [], None
    stream = generation_pb2_grpc.GenerationServiceStub(channel).Generate(request)
    try:
        for response in stream:
            if response.HasField("complete"):
                complete = response.complete
                continue
            token_ids.extend(response.chunk.token_ids)
            arrivals.append((time.monotonic(), len(token_ids)))
            show(token_ids)
    finally:
        stream.cancel()
    if complete is None or not arrivals:
        raise NoAnswer("the answer ended without its last message, or without a token")
    return Answer(token_ids, arrivals[0][0] - began, _rate(arrivals), complete)


def _rate(arrivals: list[tuple[float, int]]) -> float:
    """Tokens a second after the first message. `arrivals` are times and token counts so far; 0 for a single one."""
    (first_at, first_count), (last_at, last_count) = arrivals[0], arrivals[-1]
    return (last_count - first_count) / (last_at - first_at) if last_at > first_at else 0.0
