"""Replicas that take as long as a profile says, in simulated time."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from router.budgets.base import Budget
from router.latency.room import Occupancy
from router.latency.tracker import Answered, ReplicaTracker, Sent, Trip
from services.bench.router.clock import Clock
from services.bench.router.metrics import Served
from services.bench.router.profile import EngineProfile
from services.bench.router.trace import Arrival


@dataclass(eq=False)
class Job:
    """A request on its way through a replica; `done` is told how it went."""

    arrival: Arrival
    budget: Budget
    came: float
    queued_seconds: float
    done: Callable[[Served], None]
    trip: Trip
    first_at: float = 0.0
    tokens: int = 0

    @property
    def slots(self) -> int:
        """KV tokens that it occupies: the whole prompt until its first token is there."""
        prompt = self.budget.tokens if self.tokens else self.arrival.prompt_tokens
        return prompt + self.arrival.new_tokens

    def served(self, now: float) -> Served:
        """How it went."""
        behind = self.arrival.new_tokens - 1
        tpot = (now - self.first_at) / behind if behind else None
        ttft = self.queued_seconds + self.first_at - self.came
        return Served(self.arrival, self.budget.tokens, self.budget.rule, ttft, tpot)


class ModelledReplica:
    """As the fake engine: first come, first served into the slots; prefill one by one, before any step of decoding.

    `freed` is told when a request has given slots back.
    """

    def __init__(self, profile: EngineProfile, clock: Clock, freed: Callable[[], None] = lambda: None) -> None:
        self.tracker = ReplicaTracker(clock=clock.time)
        self.calls = 0
        self.turn = 0
        self._freed = freed
        self._profile = profile
        self._clock = clock
        self._waiting: deque[Job] = deque()
        self._prefills: deque[Job] = deque()
        self._batch: list[Job] = []
        self._running: list[Job] = []
        self._busy = False

    @property
    def free_slots(self) -> int:
        return self._profile.total_slots - sum(job.slots for job in self._running)

    @property
    def occupancy(self) -> Occupancy:
        """By which it is told whether it has room."""
        return Occupancy(self.calls, self._profile.max_running, self.tracker.slots, self._profile.total_slots)

    def report(self) -> None:
        """What the router's poll reads."""
        self.tracker.reported(self._profile.total_slots, self.free_slots, len(self._waiting))

    def send(
        self, arrival: Arrival, budget: Budget, done: Callable[[Served], None], queued_seconds: float = 0.0
    ) -> None:
        """Take a request, which has waited in the router for so long."""
        self.calls += 1
        trip = self.tracker.send(Sent(arrival.prompt_tokens, budget.tokens, arrival.new_tokens))
        self._waiting.append(Job(arrival, budget, self._clock.now, queued_seconds, done, trip))
        self._go_on()

    def _go_on(self) -> None:
        self._admit()
        if self._busy:
            return
        if self._prefills:
            self._busy = True
            job = self._prefills.popleft()
            self._clock.after(self._profile.prefill_seconds(job.arrival.prompt_tokens), lambda: self._prefilled(job))
        elif self._batch:
            self._busy = True
            resident = sum(job.budget.tokens + job.tokens for job in self._batch)
            self._clock.after(self._profile.decode_step_seconds(resident), self._stepped)

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._profile.max_running:
            if self._waiting[0].slots > self.free_slots:
                return
            job = self._waiting.popleft()
            self._running.append(job)
            self._prefills.append(job)

    def _prefilled(self, job: Job) -> None:
        job.first_at = self._clock.now
        self._batch.append(job)
        self._token(job)
        self._busy = False
        self._go_on()
        self._freed()

    def _stepped(self) -> None:
        for job in list(self._batch):
            self._token(job)
        self._busy = False
        self._go_on()

    def _token(self, job: Job) -> None:
        job.tokens += 1
        job.trip.tokens(1)
        if job.tokens < job.arrival.new_tokens:
            return
        self.calls -= 1
        self._batch.remove(job)
        self._running.remove(job)
        job.trip.end(Answered(job.tokens, 0, job.first_at - job.came))
        job.done(job.served(self._clock.now))
        self._freed()
