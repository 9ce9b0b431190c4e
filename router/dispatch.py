"""A request on its way through the replicas: it is tried again elsewhere for as long as nothing of it was streamed."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import grpc
import structlog

from protos.generation.v1 import generation_pb2
from router.admission.fair_queue import FairQueue
from router.decisions import Placed, decision_message, forwarded_request
from router.latency.tracker import Answered, Sent, Trip
from router.replicas.calls import ReplicaHangs
from router.replicas.choice import Wanted
from router.replicas.pool import ReplicaPool
from router.replicas.replica import Replica
from router.request_record import RequestRecord
from router.retries import RetryBudget
from router.runtime_client import client_status
from services.shared.durations import to_seconds
from services.shared.errors import Unavailable
from services.shared.generation import GenerateCall

logger = structlog.get_logger()


@dataclass(frozen=True)
class Job:
    """A request that was let in; `place` decides its budget for a replica, and raises ServiceError."""

    request: generation_pb2.GenerateRequest
    call: GenerateCall
    prompt_ids: Sequence[int]
    wanted: Wanted
    place: Callable[[Replica], Placed]
    time_remaining: Callable[[], float | None]


class Dispatch:
    """Picks replicas for a request, and passes the answer of the first one on that gives one."""

    def __init__(self, pool: ReplicaPool, queue: FairQueue, retries: RetryBudget) -> None:
        self._pool = pool
        self._queue = queue
        self._retries = retries

    async def answer(self, job: Job, record: RequestRecord) -> AsyncGenerator[generation_pb2.GenerateResponse, None]:
        """The answer, with the decision in its last message. Nothing is awaited before a replica counts the request.

        Raises ServiceError before a replica has the request, and for one that hangs, and grpc.aio.AioRpcError for what
        the last one that was tried says.
        """
        self._retries.earn()
        tried: list[Replica] = []
        while True:
            replica = self._pool.pick(job.wanted, tried)
            tried.append(replica)
            try:
                async with aclosing(self._attempt(replica, job, record)) as responses:
                    async for response in responses:
                        yield response
                self._pool.answered(replica)
                return
            except (grpc.aio.AioRpcError, ReplicaHangs) as error:
                code, detail = _told(error)
                self._pool.failed(replica, code, detail)
                if record.streamed or not self._may_retry(code, len(tried)):
                    raise _for_client(error) from error
                logger.warning("tried again", request_id=record.request_id, target=replica.target, reason=detail)

    def _may_retry(self, code: grpc.StatusCode, attempts: int) -> bool:
        return code is grpc.StatusCode.UNAVAILABLE and self._pool.usable and self._retries.spend(attempts)

    async def _attempt(
        self, replica: Replica, job: Job, record: RequestRecord
    ) -> AsyncGenerator[generation_pb2.GenerateResponse, None]:
        placed = job.place(replica)
        forwarded = forwarded_request(job.request, job.call, job.prompt_ids, placed)
        attempt, status = record.attempt(replica.target), "CANCELLED"
        call = replica.generate(forwarded, job.time_remaining(), attempt.headers)
        replica.sent(job.wanted.hashes)
        trip = replica.tracker.send(Sent(job.wanted.prompt_tokens, placed.budget.tokens, job.wanted.new_tokens))
        try:
            async with aclosing(call.responses()) as responses:
                async for response in responses:
                    self._note(trip, response)
                    record.received(response)
                    if response.HasField("complete"):
                        response.complete.decision.CopyFrom(decision_message(placed, record.queue_seconds))
                    yield response
            status = "OK"
        except (grpc.aio.AioRpcError, ReplicaHangs) as error:
            status = _told(error)[0].name
            raise
        finally:
            trip.end()
            call.cancel()
            # its slots may have been counted still when the call's end was told
            self._queue.wake()
            attempt.end(status)

    def _note(self, trip: Trip, response: generation_pb2.GenerateResponse) -> None:
        """Let the replica's latency model see it."""
        if response.HasField("chunk"):
            if trip.tokens(len(response.chunk.token_ids)):
                # what is not kept of the prompt is free now
                self._queue.wake()
            return
        usage, ttft = response.complete.usage, response.complete.kv.ttft
        trip.end(Answered(usage.completion_tokens, usage.cached_tokens, to_seconds(ttft)))


def _told(error: grpc.aio.AioRpcError | ReplicaHangs) -> tuple[grpc.StatusCode, str | None]:
    if isinstance(error, ReplicaHangs):
        return grpc.StatusCode.UNAVAILABLE, str(error)
    # one that went away without a word may look cancelled
    return client_status(error).code, error.details()


def _for_client(error: grpc.aio.AioRpcError | ReplicaHangs) -> Exception:
    if isinstance(error, ReplicaHangs):
        return Unavailable(f"the runtime of this request hangs ({error}); send the request again")
    return error
