"""Requests that run at once, and what the client saw of each."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

import grpc

from protos.generation.v1 import generation_pb2_grpc
from services.cli.bench.cases import Work
from services.cli.rpc_errors import sentence_of


@dataclass(frozen=True)
class Sample:
    """One answer by the client's clock. With an `error`, nothing else counts."""

    work: Work
    ttft_seconds: float = 0.0
    tpot_seconds: float = 0.0
    prompt_tokens: int = 0
    kept_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""


@dataclass(frozen=True)
class Server:
    """Who is asked, and as whom."""

    target: str
    channel: grpc.Channel
    metadata: tuple[tuple[str, str], ...]
    timeout_seconds: float


def measure(server: Server, works: Iterable[Work], at_once: int, seen: Callable[[Sample], None]) -> None:
    """Send all of it, `at_once` at a time, and tell what was seen. A Ctrl-C waits for nothing."""
    pool = ThreadPoolExecutor(at_once)
    try:
        for sample in _samples(pool, server, iter(works), at_once):
            seen(sample)
    finally:
        server.channel.close()
        pool.shutdown(wait=False, cancel_futures=True)


def _samples(pool: ThreadPoolExecutor, server: Server, works: Iterator[Work], at_once: int) -> Iterator[Sample]:
    running: set[Future[Sample]] = {pool.submit(_ask, server, work) for work in islice(works, at_once)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        running |= {pool.submit(_ask, server, work) for work in islice(works, len(done))}
        yield from (future.result() for future in done)


def _ask(server: Server, work: Work) -> Sample:
    stub = generation_pb2_grpc.GenerationServiceStub(server.channel)
    began, first, last, first_tokens = time.monotonic(), 0.0, 0.0, 0
    try:
        for response in stub.Generate(work.request, timeout=server.timeout_seconds, metadata=server.metadata):
            if response.HasField("complete"):
                kv, usage = response.complete.kv, response.complete.usage
                break
            last = time.monotonic()
            if not first:
                first, first_tokens = last, len(response.chunk.token_ids)
        else:
            return Sample(work, error="the answer ended without a report")
    except (grpc.RpcError, ValueError) as error:
        # a channel that is closed under it raises ValueError
        return Sample(work, error=sentence_of(error, server.target) if isinstance(error, grpc.RpcError) else str(error))
    behind = usage.completion_tokens - first_tokens
    tpot = (last - first) / behind if behind > 0 else 0.0
    return Sample(work, first - began, tpot, kv.prompt_tokens, kv.kept_tokens, usage.completion_tokens)
