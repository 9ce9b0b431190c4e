"""One runtime, what it last said of itself, and this router's calls on it."""

import asyncio
import time
from collections.abc import Callable, Sequence

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from router.latency.model import LatencyModel
from router.latency.room import Occupancy
from router.latency.tracker import ReplicaTracker
from router.replicas.calls import Call
from router.replicas.outliers import Standing
from router.replicas.prefixes import SentPrefixes
from router.runtime_client import Runtime
from services.shared.tracing.context import Headers

# the aliases of its adapters change while it serves
MODEL_SECONDS = 5.0


class Replica:
    """One runtime, what it last said of itself, and this router's calls on it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.target = runtime.target
        self.tracker = ReplicaTracker()
        self.standing = Standing()
        self.prefixes = SentPrefixes()
        self.turn = 0
        self.model: runtime_pb2.GetModelInfoResponse | None = None
        # why it is not to be picked; empty when it is
        self.objection = "not known yet"
        # told when a call has ended
        self.ended: Callable[[], None] = lambda: None
        # share of its KV slots that were in use when it last told
        self.used_ratio = 0.0
        self._calls: set[Call] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._told_at = 0.0
        self._others = 0
        self._max_running = 0

    @property
    def calls(self) -> int:
        """This router's, in flight."""
        return len(self._calls)

    @property
    def usable(self) -> bool:
        """Whether it says that it serves."""
        return not self.objection and self.runtime.connected()

    @property
    def reason_out(self) -> str:
        """Why it is not picked, in a few words; empty when it is."""
        return self.objection or ("left alone" if self.standing.out(time.monotonic()) else "")

    @property
    def latency(self) -> LatencyModel:
        """What was learned of its speed."""
        return self.tracker.model

    @property
    def trusted(self) -> bool:
        """Whether it is to get requests like others, and not left alone, or tried with one at a time."""
        standing = self.standing
        return not standing.out(time.monotonic()) and not (standing.on_probation and self._calls)

    def load_key(self) -> tuple[int, float, int]:
        """What the choice goes by, the smallest first: calls in flight, used share of the KV pool, last turn.

        Calls in flight are this router's own, known exactly, and those of others as of the runtime's last report.
        """
        return self.calls + self._others, self.used_ratio, self.turn

    @property
    def occupancy(self) -> Occupancy:
        """By which it is told whether it has room."""
        calls = self.calls + self._others
        return Occupancy(calls, self._max_running, self.tracker.slots, self.tracker.total_slots)

    async def ask(self) -> runtime_pb2.GetLoadResponse:
        """The runtime's load, and on the way what it says of its model, now and then. Raises AioRpcError."""
        if self.model is None or time.monotonic() - self._told_at > MODEL_SECONDS:
            self.model = await self.runtime.model_info()
            self._told_at = time.monotonic()
        calls = self.calls
        load = await self.runtime.load()
        # one that ended on the way of the report is not somebody else's
        self._others = max(0, load.in_flight - max(calls, self.calls))
        self._max_running = load.max_running_requests
        self.used_ratio = 1 - load.free_slots / load.total_slots if load.total_slots else 0.0
        self.tracker.reported(load.total_slots, load.free_slots, load.queued_requests)
        return load

    def generate(
        self, request: generation_pb2.GenerateRequest, timeout_seconds: float | None, headers: Headers = ()
    ) -> Call:
        """The call, which counts as in flight until it is over, however that comes about."""
        stream = self.runtime.generate(request, timeout_seconds, headers)
        call = Call(stream)
        self._calls.add(call)
        self._idle.clear()
        stream.add_done_callback(lambda _: self._end(call))
        return call

    def give_up(self, why: str, silent_seconds: float = 0.0) -> None:
        """End the calls that have been waiting for this runtime for so long."""
        for call in list(self._calls):
            if call.silent_seconds() >= silent_seconds:
                call.give_up(why)

    def sent(self, hashes: Sequence[int]) -> None:
        """A prompt with these blocks goes there."""
        self.prefixes.remember(hashes, self.tracker.total_slots)

    async def idle(self) -> None:
        """Returns when no call of this router is in flight."""
        await self._idle.wait()

    def _end(self, call: Call) -> None:
        self._calls.discard(call)
        if not self._calls:
            self._idle.set()
        self.ended()
