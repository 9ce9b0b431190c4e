"""The bounded queue of a router: requests wait for room on a replica, in fair order."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from router.admission.fair_order import FairOrder, QueueFull
from router.admission.service_rate import ServiceRate
from router.admission.waiting import Ticket, Waiting
from services.shared.errors import DeadlineExceeded, ResourceExhausted

QUEUE_FULL = "QUEUE_FULL"
LEAST_RETRY_SECONDS, MOST_RETRY_SECONDS = 1.0, 60.0

Turn = Ticket[asyncio.Future[None]]


@dataclass(frozen=True)
class QueueSettings:
    """The most requests that wait here, and those of one tenant."""

    max_waiting: int = 2048
    max_waiting_per_tenant: int = 512


class FairQueue:
    """`room` tells whether some replica can start a request of so many KV tokens now; it must not wait.

    A turn is a permission, not a place: who got it counts its request on a replica before it awaits anything else, and
    only then the next one is looked at. So one freed place is never given twice, and who got a turn and fails, or is
    cancelled, gives nothing back. The first in order is never overtaken, though smaller requests would fit: a large
    one waits for as long as what runs takes to free its slots, and no longer.
    """

    def __init__(
        self,
        room: Callable[[int], bool],
        settings: QueueSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = settings or QueueSettings()
        self._room = room
        self._clock = clock
        self._order = FairOrder[asyncio.Future[None]](settings.max_waiting, settings.max_waiting_per_tenant)
        self._rate = ServiceRate(clock)
        # a turn was given, and its request is not counted yet
        self._given = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._order)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many of each tenant wait."""
        return self._order.counts

    async def turn(self, waiting: Waiting, seconds_left: float | None) -> float:
        """Returns at its turn, the seconds it waited: with room and nobody before it at once, without a task switch.

        Raises ResourceExhausted when the queue is full, and DeadlineExceeded when `seconds_left` are over, or when they
        will be: by what was served lately, where that is known.
        """
        if seconds_left is not None and seconds_left <= 0:
            raise DeadlineExceeded("the deadline passed before the request could start; allow it more time")
        if not self._given and not self._order and self._room(waiting.kv_tokens):
            return 0.0
        self._check_deadline(waiting, seconds_left)
        began, turn = self._clock(), self._enter(waiting)
        # it may go before the one that there was no room for
        self.wake()
        try:
            async with asyncio.timeout(seconds_left):
                await turn.value
        except TimeoutError as error:
            sentence = f"the deadline passed after {self._clock() - began:.1f} s in the queue; allow it more time"
            raise DeadlineExceeded(sentence) from error
        finally:
            self._leave(turn)
        return self._clock() - began

    def wake(self) -> None:
        """There may be room: a call ended, gave slots back, or a replica told its load."""
        while not self._given and (turn := self._order.first()) is not None:
            if turn.value.done():
                # cancelled, and its task has not run since
                self._drop(turn)
            elif self._room(turn.waiting.kv_tokens):
                self._give(turn)
            else:
                return

    def _enter(self, waiting: Waiting) -> Turn:
        if not self._order:
            self._rate.waiting(some=True)
        try:
            return self._order.push(waiting, asyncio.get_running_loop().create_future())
        except QueueFull as full:
            raise self._refusal(waiting.tenant, full) from full

    def _give(self, turn: Turn) -> None:
        self._given = True
        self._order.pop()
        self._rate.served(turn.waiting.cost_tokens)
        self._rest()
        turn.value.set_result(None)

    def _leave(self, turn: Turn) -> None:
        if turn.value.done() and not turn.value.cancelled():
            # behind what its task does before it awaits again: there its request is counted
            asyncio.get_running_loop().call_soon(self._next)
            return
        self._drop(turn)
        # the next one may fit where this one did not
        self.wake()

    def _next(self) -> None:
        self._given = False
        self.wake()

    def _drop(self, turn: Turn) -> None:
        if self._order.remove(turn):
            self._rest()

    def _rest(self) -> None:
        if not self._order:
            self._rate.waiting(some=False)

    def _check_deadline(self, waiting: Waiting, seconds_left: float | None) -> None:
        # the first one waits whatever happened before it came, so that there is always news of the speed
        if seconds_left is None or not self._order:
            return
        expected = self._rate.seconds_for(self._order.ahead_tokens(waiting))
        if expected is not None and expected > seconds_left:
            raise DeadlineExceeded(
                f"the request would wait about {expected:.1f} s for a runtime, and has {seconds_left:.1f} s left; "
                "allow it more time, or send it again later"
            )

    def _refusal(self, tenant: str, full: QueueFull) -> ResourceExhausted:
        whose = f"of tenant {tenant!r} " if full.own else ""
        # when about half of what waits is served
        seconds = self._rate.seconds_for(self._order.cost_tokens / 2) or LEAST_RETRY_SECONDS
        return ResourceExhausted(
            f"{full.count} requests {whose}wait at this router, the most it holds; send it again later",
            QUEUE_FULL,
            retry_after_seconds=min(max(seconds, LEAST_RETRY_SECONDS), MOST_RETRY_SECONDS),
            tenant=tenant,
            limit=str(full.count),
        )
