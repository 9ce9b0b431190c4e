"""A call on a replica that may hang without a word."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable

from protos.generation.v1 import generation_pb2
from router.runtime_client import ResponseStream


class ReplicaHangs(Exception):
    """The call was given up, because its replica is silent. The message says how that was noticed."""


class Call:
    """An answer on its way. It knows whether it waits for its replica or for its client."""

    def __init__(self, stream: ResponseStream, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._waiting_since: float | None = None
        self._given_up = ""

    async def responses(self) -> AsyncGenerator[generation_pb2.GenerateResponse, None]:
        """What the replica says. Raises AioRpcError, and ReplicaHangs after `give_up`."""
        self._waiting_since = self._clock()
        try:
            async for response in self._stream:
                self._waiting_since = None
                yield response
                self._waiting_since = self._clock()
        except asyncio.CancelledError:
            # a cancelled stream says the same as a cancelled task
            task = asyncio.current_task()
            if self._given_up and not (task and task.cancelling()):
                raise ReplicaHangs(self._given_up) from None
            raise
        finally:
            self._waiting_since = None

    def silent_seconds(self) -> float:
        """For how long it has been waiting for its replica."""
        return 0.0 if self._waiting_since is None else self._clock() - self._waiting_since

    def give_up(self, why: str) -> None:
        """End the wait for the replica. One that waits for its client goes on: what came is the client's."""
        if self._waiting_since is not None:
            self._given_up = why
            self._stream.cancel()

    def cancel(self) -> None:
        """The client wants no more."""
        self._stream.cancel()
