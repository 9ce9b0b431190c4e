"""The replicas that there are now: which of them can be picked, and why others cannot."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import grpc
import structlog

from protos.runtime.v1 import runtime_pb2
from router.latency.model import LatencyModel
from router.latency.room import RoomRule
from router.replicas.choice import Wanted, choose, trusted_of
from router.replicas.outliers import OutlierSettings, may_put_out, slow_ones
from router.replicas.replica import Replica
from services.shared.errors import Unavailable
from services.shared.generation import ModelLimits

# what speaks for the replica, and not for the request
FAILURES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)

logger = structlog.get_logger()


@dataclass(frozen=True)
class PoolSettings:
    """`poll_seconds` between two looks at a replica; one that lets a call wait for `silent_seconds` hangs."""

    poll_seconds: float = 0.5
    silent_seconds: float = 120.0
    room: RoomRule = field(default_factory=RoomRule)
    outliers: OutlierSettings = field(default_factory=OutlierSettings)


class ReplicaPool:
    """All replicas. They serve one model: that of the first one that told."""

    def __init__(self, replicas: Iterable[Replica] = (), settings: PoolSettings | None = None) -> None:
        self._settings = settings or PoolSettings()
        self._replicas: list[Replica] = []
        self._wake: Callable[[], None] = lambda: None
        self._model: runtime_pb2.GetModelInfoResponse | None = None
        self._turns = 0
        self._changed = asyncio.Event()
        for replica in replicas:
            self.add(replica)

    @property
    def replicas(self) -> Sequence[Replica]:
        """All of them, usable or not."""
        return self._replicas

    @property
    def usable(self) -> bool:
        """Whether at least one replica can take a request."""
        return any(replica.usable for replica in self._replicas)

    def add(self, replica: Replica) -> None:
        """One more, which is picked once it has told how it is."""
        replica.ended = self._woken
        self._replicas.append(replica)

    def remove(self, replica: Replica) -> None:
        """It is picked no more; what it serves goes on."""
        self._replicas.remove(replica)
        self._changed.set()

    async def follow(self, replica: Replica) -> None:
        """Keep what is known of a replica up to date, until cancelled."""
        while True:
            await self.refresh(replica)
            self._wake()
            await asyncio.sleep(self._settings.poll_seconds)

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

    def on_room(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever there may be more room than before."""
        self._wake = wake

    def has_room(self, kv_tokens: int) -> bool:
        """Whether a request of so many KV tokens can start now; also when `pick` would refuse it, so that it does."""
        usable = [replica for replica in self._replicas if replica.usable]
        # an idle one that is left alone gets nothing, so its room is none
        return not usable or any(
            self._settings.room.has_room(replica.occupancy, kv_tokens) for replica in trusted_of(usable)
        )

    def likely(self, wanted: Wanted) -> Replica | None:
        """The replica that a request would get now; None when none can take one."""
        usable = [replica for replica in self._replicas if replica.usable]
        return choose(usable, wanted, self._settings.room) if usable else None

    def pick(self, wanted: Wanted, avoid: Collection[Replica] = ()) -> Replica:
        """The replica for a request, none to `avoid` if there is another. Raises Unavailable when none can take one."""
        usable = [replica for replica in self._replicas if replica.usable]
        if not usable:
            raise self._none_left()
        replica = choose(usable, wanted, self._settings.room, avoid)
        self._turns += 1
        replica.turn = self._turns
        return replica

    def answered(self, replica: Replica) -> None:
        """Note that a call on this replica came to its end."""
        replica.standing.succeeded()

    def failed(self, replica: Replica, code: grpc.StatusCode, detail: str | None) -> None:
        """Note that a call on this replica failed. One that is unavailable is out until it tells its load again."""
        if code not in FAILURES:
            return
        replica.standing.failed()
        if replica.standing.is_bad(self._settings.outliers):
            self._put_out(replica, "its calls fail", detail)
        if code is grpc.StatusCode.UNAVAILABLE:
            self._judge(replica, "unavailable", detail)
            self._wake()

    async def refresh(self, replica: Replica) -> None:
        """Ask the replica how it is, and judge whether it can be picked."""
        try:
            load = await replica.ask()
        except grpc.aio.AioRpcError as error:
            # it may come back with another model, and with nothing cached
            replica.model = None
            replica.prefixes.forget()
            self._judge(replica, error.code().name.lower(), error.details())
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                replica.give_up("it does not tell its load any more")
            return
        replica.give_up(f"nothing came for {self._settings.silent_seconds:g} s", self._settings.silent_seconds)
        self._model = self._model or replica.model
        if self._model and replica.model and replica.model.fingerprint != self._model.fingerprint:
            self._judge(replica, "another model", f"{replica.model.model}, not {self._model.model}")
        else:
            self._judge(replica, "draining" if load.draining else "")
        self._leave_slow_ones_alone()

    def _leave_slow_ones_alone(self) -> None:
        inside = {one.target: one for one in self._replicas if one.usable and one.trusted}
        models = {target: one.tracker.model for target, one in inside.items()}
        for target, times in slow_ones(models, self._settings.outliers).items():
            if self._put_out(inside[target], "it is slow", f"its first token takes {times:.1f} times the median"):
                # it is judged by what it does from now on
                inside[target].tracker.model = LatencyModel()

    def _put_out(self, replica: Replica, reason: str, detail: str | None) -> bool:
        now, settings = time.monotonic(), self._settings.outliers
        already = sum(one.standing.out(now) for one in self._replicas if one is not replica)
        if replica.standing.out(now) or not may_put_out(already, len(self._replicas), settings):
            return False
        seconds = replica.standing.put_out(now, settings)
        logger.warning("runtime left alone", target=replica.target, reason=reason, detail=detail, seconds=seconds)
        return True

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

    def _woken(self) -> None:
        self._wake()

    def _none_left(self) -> Unavailable:
        return Unavailable(f"none of {len(self._replicas)} runtimes can take a request; send it again later")
