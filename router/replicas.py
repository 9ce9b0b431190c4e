"""The runtimes behind this router: how each of them is, and which one gets the next request."""

import asyncio
import time
from collections.abc import Sequence

import grpc
import structlog

from protos.generation.v1 import generation_pb2
from protos.runtime.v1 import runtime_pb2
from router.latency.model import LatencyModel
from router.latency.tracker import ReplicaTracker
from router.runtime_client import ResponseStream, Runtime
from services.shared.errors import Unavailable
from services.shared.generation import ModelLimits
from services.shared.tracing.context import Headers

# the aliases of its adapters change while it serves
MODEL_SECONDS = 5.0

logger = structlog.get_logger()


class Replica:
    """One runtime, what it last said of itself, and this router's calls on it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.target = runtime.target
        self.tracker = ReplicaTracker()
        self.calls = 0
        self.turn = 0
        self.model: runtime_pb2.GetModelInfoResponse | None = None
        # why it is not to be picked; empty when it is
        self.objection = "not known yet"
        self._told_at = 0.0
        self._others = 0
        self.used_ratio = 0.0

    @property
    def usable(self) -> bool:
        return not self.objection and self.runtime.connected()

    @property
    def latency(self) -> LatencyModel:
        """What was learned of its speed."""
        return self.tracker.model

    def load_key(self) -> tuple[int, float, int]:
        """What the choice goes by, the smallest first: calls in flight, used share of the KV pool, last turn.

        Calls in flight are this router's own, known exactly, and those of others as of the runtime's last report.
        """
        return self.calls + self._others, self.used_ratio, self.turn

    async def ask(self) -> runtime_pb2.GetLoadResponse:
        """The runtime's load, and on the way what it says of its model, now and then. Raises AioRpcError."""
        if self.model is None or time.monotonic() - self._told_at > MODEL_SECONDS:
            self.model = await self.runtime.model_info()
            self._told_at = time.monotonic()
        load = await self.runtime.load()
        self._others = max(0, load.in_flight - self.calls)
        self.used_ratio = 1 - load.free_slots / load.total_slots if load.total_slots else 0.0
        self.tracker.reported(load.total_slots, load.free_slots, load.queued_requests)
        return load

    def generate(
        self, request: generation_pb2.GenerateRequest, timeout_seconds: float | None, headers: Headers = ()
    ) -> ResponseStream:
        """The stream of answers; it counts as a call in flight until it is over, however that comes about."""
        stream = self.runtime.generate(request, timeout_seconds, headers)
        self.calls += 1
        stream.add_done_callback(self._ended)
        return stream

    def _ended(self, _: object) -> None:
        self.calls -= 1


class ReplicaPool:
    """All replicas. They serve one model: that of the first one that told."""

    def __init__(self, replicas: Sequence[Replica], poll_seconds: float) -> None:
        self._replicas = replicas
        self._poll_seconds = poll_seconds
        self._model: runtime_pb2.GetModelInfoResponse | None = None
        self._turns = 0
        self._changed = asyncio.Event()

    @property
    def replicas(self) -> Sequence[Replica]:
        return self._replicas

    @property
    def usable(self) -> bool:
        """Whether at least one replica can take a request."""
        return any(replica.usable for replica in self._replicas)

    async def follow(self) -> None:
        """Keep what is known of every replica up to date, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for replica in self._replicas:
                tasks.create_task(self._follow(replica))

    async def wait_until(self, usable: bool) -> None:
        """Returns when `self.usable` has this value. For one caller at a time."""
        while self.usable != usable:
            self._changed.clear()
            await self._changed.wait()

    def limits(self) -> ModelLimits:
        """What a request must fit into. Raises Unavailable when no replica can take one."""
        if self._model is None or not self.usable:
            raise self._none_left()
        model = self._model
        # each runtime judges the policy itself: it serves a known one that it cannot run by another
        return ModelLimits(model.model, model.context_tokens, model.vocab_size, policies=None)

    @property
    def model_name(self) -> str:
        """That of the model that is served; empty before any replica told."""
        return self._model.model if self._model else ""

    @property
    def aliases(self) -> frozenset[str] | None:
        """Of the model's adapters, as any replica told them; None before any did."""
        told = [replica.model.aliases for replica in self._replicas if replica.model]
        return frozenset(alias.name for aliases in told for alias in aliases) if told else None

    def least_loaded(self) -> Replica | None:
        """The replica that a request would get now; None when none can take one."""
        usable = [replica for replica in self._replicas if replica.usable]
        return min(usable, key=Replica.load_key, default=None)

    def pick(self) -> Replica:
        """The least loaded replica, for a request. Raises Unavailable when none can take one."""
        replica = self.least_loaded()
        if replica is None:
            raise self._none_left()
        self._turns += 1
        replica.turn = self._turns
        return replica

    def failed(self, replica: Replica, error: grpc.aio.AioRpcError) -> None:
        """Note that a call on this replica failed. One that is unavailable is out until it tells its load again."""
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            self._judge(replica, "unavailable", detail=error.details())

    async def refresh(self, replica: Replica) -> None:
        """Ask the replica how it is, and judge whether it can be picked."""
        try:
            load = await replica.ask()
        except grpc.aio.AioRpcError as error:
            # it may come back with another model
            replica.model = None
            self._judge(replica, error.code().name.lower(), detail=error.details())
            return
        self._model = self._model or replica.model
        if self._model and replica.model and replica.model.fingerprint != self._model.fingerprint:
            self._judge(replica, "another model", detail=f"{replica.model.model}, not {self._model.model}")
        else:
            self._judge(replica, "draining" if load.draining else "")

    async def _follow(self, replica: Replica) -> None:
        while True:
            await self.refresh(replica)
            await asyncio.sleep(self._poll_seconds)

    def _judge(self, replica: Replica, objection: str, detail: str | None = "") -> None:
        # also without news of its own: the connection may have changed since the last look
        self._changed.set()
        if replica.objection == objection:
            return
        replica.objection = objection
        if objection:
            logger.warning("runtime out", target=replica.target, reason=objection, detail=detail)
        else:
            logger.info("runtime in", target=replica.target)

    def _none_left(self) -> Unavailable:
        return Unavailable(f"none of {len(self._replicas)} runtimes can take a request; send it again later")
