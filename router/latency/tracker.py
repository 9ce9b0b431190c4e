"""What this router has under way on a replica, and what that says of the next request's latency."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from router.budgets.base import ReplicaView
from router.latency.model import LatencyModel, Observation

# of the mean prompt, by which the queue of other routers is told in tokens
MEAN_SHARE = 0.05
FIRST_MEAN_TOKENS = 1000.0


@dataclass(frozen=True)
class Answered:
    """What the last message of an answer says."""

    completion_tokens: int
    cached_tokens: int
    ttft_seconds: float


@dataclass(frozen=True)
class Sent:
    """A request as it was sent: KV tokens of its prompt, of what is to be kept of it, and of its longest answer."""

    prompt_tokens: int
    kept_tokens: int
    new_tokens: int


class ReplicaTracker:
    """Of one replica; for one thread. Its own requests are known at any time, those of others as of the last report."""

    def __init__(self, model: LatencyModel | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.model = model or LatencyModel()
        self.clock = clock
        self._total_slots = 0
        self._others_slots = 0
        self._others_queued = 0
        self._mean_prompt_tokens = FIRST_MEAN_TOKENS
        # of this router's requests: slots they may hold now, and KV that steps read now and once all are prefilled
        self._slots = 0
        self._decoding = 0
        self._committed = 0
        self._queued: dict[int, int] = {}
        # the integral of the resident tokens over time, for means
        self._area = 0.0
        self._area_at = clock()

    def reported(self, total_slots: int, free_slots: int, queued_requests: int) -> None:
        """Take over what the replica says of itself."""
        self._advance()
        self._total_slots = total_slots
        self._others_slots = max(0, total_slots - free_slots - self._slots)
        self._others_queued = max(0, queued_requests - len(self._queued))

    @property
    def total_slots(self) -> int:
        """Of the KV pool; 0 before the first report."""
        return self._total_slots

    @property
    def slots(self) -> int:
        """KV slots that requests hold or will need: whole prompts until their first token, then what is kept."""
        return self._others_slots + self._slots

    @property
    def resident_tokens(self) -> int:
        """KV tokens of the batch once all requests that were sent are prefilled."""
        return self._others_slots + self._committed

    @property
    def queued_prompt_tokens(self) -> int:
        """Prompt tokens that wait for their prefill."""
        return sum(self._queued.values()) + int(self._others_queued * self._mean_prompt_tokens)

    def view(self, prompt_tokens: int) -> ReplicaView:
        """The replica for a request with this prompt."""
        return ReplicaView(
            total_slots=self._total_slots,
            free_slots=max(0, self._total_slots - self.resident_tokens),
            ttft_seconds=self.model.predict_ttft(prompt_tokens, self.queued_prompt_tokens),
            tpot_base_seconds=self.model.tpot_base_seconds,
            tpot_token_seconds=self.model.tpot_token_seconds,
        )

    def idle_view(self, prompt_tokens: int) -> ReplicaView:
        """The replica for a request with this prompt, if it had nothing else to do."""
        view = self.view(prompt_tokens)
        return replace(view, free_slots=view.total_slots, ttft_seconds=self.model.predict_ttft(prompt_tokens, 0))

    def send(self, sent: Sent) -> "Trip":
        """Count a request that is sent now, until its trip ends."""
        self._mean_prompt_tokens += MEAN_SHARE * (sent.prompt_tokens - self._mean_prompt_tokens)
        return Trip(self, sent)

    def enter(self, trip: "Trip") -> None:
        """A trip begins: its prompt waits."""
        self._queued[id(trip)] = trip.sent.prompt_tokens
        self._slots += trip.sent.prompt_tokens + trip.sent.new_tokens
        self._committed += trip.sent.kept_tokens + trip.sent.new_tokens

    def decode(self, trip: "Trip") -> float:
        """A trip has its first token: what is not kept of its prompt is free. Returns the integral so far."""
        area = self._advance()
        del self._queued[id(trip)]
        self._slots -= trip.sent.prompt_tokens - trip.sent.kept_tokens
        self._decoding += trip.sent.kept_tokens + trip.sent.new_tokens
        return area

    def leave(self, trip: "Trip") -> float:
        """A trip ends. Returns the integral so far."""
        area, tokens = self._advance(), trip.sent.kept_tokens + trip.sent.new_tokens
        self._committed -= tokens
        if self._queued.pop(id(trip), None) is None:
            self._slots -= tokens
            self._decoding -= tokens
        else:
            self._slots -= trip.sent.prompt_tokens + trip.sent.new_tokens
        return area

    def _advance(self) -> float:
        now = self.clock()
        self._area += (now - self._area_at) * (self._others_slots + self._decoding)
        self._area_at = now
        return self._area


class Trip:
    """One request on its way through a replica: `tokens` for each message that has some, `end` once, always."""

    def __init__(self, tracker: ReplicaTracker, sent: Sent) -> None:
        self.sent = sent
        self._tracker = tracker
        self._queued_prompt_tokens = tracker.queued_prompt_tokens
        self._first_at: float | None = None
        self._last_at = 0.0
        self._first_tokens = 0
        self._area = 0.0
        self._ended = False
        tracker.enter(self)

    def tokens(self, count: int) -> bool:
        """A message with so many tokens has come. Whether it is the first one, with which slots become free."""
        self._last_at = self._tracker.clock()
        if self._first_at is not None:
            return False
        self._first_at, self._first_tokens = self._last_at, count
        self._area = self._tracker.decode(self)
        return True

    def end(self, answered: Answered | None = None) -> None:
        """The answer is over; the model learns from it if it came to its end. Safe to call again."""
        if self._ended:
            return
        self._ended = True
        area = self._tracker.leave(self)
        if answered is not None:
            self._tracker.model.observe(self._observation(answered, area))

    def _observation(self, answered: Answered, area: float) -> Observation:
        uncached = self.sent.prompt_tokens - answered.cached_tokens
        seconds, tpot = self._decode_seconds(), None
        behind = answered.completion_tokens - self._first_tokens
        # one message tells nothing of the pauses between tokens
        if seconds > 0 and behind > 0:
            tpot = seconds / behind
        resident = (area - self._area) / seconds if seconds > 0 else 0.0
        return Observation(uncached, self._queued_prompt_tokens, answered.ttft_seconds, resident, tpot)

    def _decode_seconds(self) -> float:
        return self._last_at - self._first_at if self._first_at is not None else 0.0
