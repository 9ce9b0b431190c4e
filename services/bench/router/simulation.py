"""The router's own rules, latency models and fair order before modelled replicas."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count

from router.admission.fair_order import FairOrder, QueueFull
from router.admission.fair_queue import QueueSettings
from router.admission.waiting import Waiting
from router.budgets import kv_budget, load_rules
from router.budgets.base import BudgetRequest, BudgetRule, NoBudget, Slo
from router.budgets.limits import Limits
from router.latency.room import RoomRule
from services.bench.router.clock import Clock
from services.bench.router.metrics import Served
from services.bench.router.modelled import ModelledReplica
from services.bench.router.profile import EngineProfile
from services.bench.router.trace import Arrival

# as the router's default
POLL_SECONDS = 0.5
LIMITS = Limits()


@dataclass
class Simulation:
    """A router before modelled replicas. With `fixed_tokens` every request asks for that budget and for no SLO.

    What else the router does for requests, such as their fair order while no replica has room, and smaller budgets
    while a pool is full, it does for both.
    """

    profile: EngineProfile
    replicas: int = 4
    fixed_tokens: int | None = None
    rules: dict[str, BudgetRule] = field(default_factory=lambda: load_rules({}))
    room: RoomRule = field(default_factory=RoomRule)
    bounds: QueueSettings = field(default_factory=QueueSettings)

    def run(self, trace: Sequence[Arrival], seconds: float = math.inf) -> list[Served]:
        """How each request of the trace went, in the order in which they ended, those that ended within `seconds`."""
        self.begin(trace)
        self._clock.run(lambda: len(self._served) < len(trace) and self._clock.now < seconds)
        return self._served

    def begin(self, trace: Sequence[Arrival]) -> None:
        """Idle replicas, and a trace that is still to come."""
        self._clock, self._served, self._turns = Clock(), list[Served](), count(1)
        self._order = FairOrder[Arrival](self.bounds.max_waiting, self.bounds.max_waiting_per_tenant)
        self._pool = [ModelledReplica(self.profile, self._clock, self._wake) for _ in range(self.replicas)]
        self._poll()
        for arrival in trace:
            self._clock.after(arrival.at_seconds, partial(self._arrive, arrival))

    def _poll(self) -> None:
        for replica in self._pool:
            replica.report()
        self._wake()
        self._clock.after(POLL_SECONDS, self._poll)

    def _arrive(self, arrival: Arrival) -> None:
        try:
            self._order.push(waiting_of(arrival), arrival)
        except QueueFull:
            self._served.append(Served(arrival))
        self._wake()

    def _wake(self) -> None:
        while (ticket := self._order.first()) and self._roomy(ticket.waiting.kv_tokens):
            self._place(self._order.pop().value)

    def _roomy(self, kv_tokens: int) -> list[ModelledReplica]:
        return [one for one in self._pool if self.room.has_room(one.occupancy, kv_tokens)]

    def _place(self, arrival: Arrival) -> None:
        # as `router.replicas.Replica.load_key` has it
        roomy = self._roomy(waiting_of(arrival).kv_tokens)
        replica = min(roomy, key=lambda one: (one.calls, one.tracker.resident_tokens, one.turn))
        replica.turn = next(self._turns)
        queued_seconds = self._clock.now - arrival.at_seconds
        try:
            budget = kv_budget(self._request(arrival, replica, queued_seconds), self.rules)
        except NoBudget:
            self._served.append(Served(arrival))
            return
        replica.send(arrival, budget, self._served.append, queued_seconds)

    def _request(self, arrival: Arrival, replica: ModelledReplica, queued_seconds: float) -> BudgetRequest:
        view = replica.tracker.view(arrival.prompt_tokens)
        view = replace(view, ttft_seconds=view.ttft_seconds + queued_seconds)
        asked = BudgetRequest(arrival.prompt_tokens, arrival.new_tokens, LIMITS, replica=view)
        if self.fixed_tokens is not None:
            return replace(asked, hint_budget_tokens=self.fixed_tokens)
        slo = Slo(arrival.tenant.ttft_seconds, arrival.tenant.tpot_seconds)
        # all of the prompt, as far as the SLO allows
        return replace(asked, hint_keep_ratio=1.0, slo=slo)


def waiting_of(arrival: Arrival) -> Waiting:
    """As the router's queue sees it."""
    tokens = arrival.prompt_tokens + arrival.new_tokens
    return Waiting(arrival.tenant.name, LIMITS.priority, LIMITS.weight, cost_tokens=tokens, kv_tokens=tokens)


def same_memory_tokens(trace: Sequence[Arrival], kept_tokens: float) -> int:
    """The fixed budget that keeps `kept_tokens` of each prompt of the trace on average, to the token."""
    least, most = 1, max(arrival.prompt_tokens for arrival in trace)
    while least < most:
        middle = (least + most) // 2
        if sum(min(middle, arrival.prompt_tokens) for arrival in trace) < kept_tokens * len(trace):
            least = middle + 1
        else:
            most = middle
    return least
