"""The router's queue itself, before modelled replicas in simulated time, does what the simulation says."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean

import pytest

from router.admission.fair_queue import FairQueue
from services.bench.router.fairness import BUDGET_TOKENS, flood_trace, judge
from services.bench.router.metrics import Served
from services.bench.router.plan import Plan
from services.bench.router.simulation import Simulation, waiting_of
from services.bench.router.trace import Arrival

PROFILE = Plan(requests=2, seconds=1.0, seed=1).profile
# turns that one event of the simulated replicas can lead to, and the switches between tasks that each takes
SWITCHES = 3 * 8


@dataclass
class QueuedSimulation(Simulation):
    """The simulation with the router's queue in place of its own, and a task for each request that waits there."""

    async def replay(self, trace: Sequence[Arrival], seconds: float) -> list[Served]:
        self._queue = FairQueue(lambda kv_tokens: bool(self._roomy(kv_tokens)), self.bounds)
        self._tasks: list[asyncio.Task[None]] = []
        self.begin(trace)
        while self._clock.now < seconds:
            # one event
            self._clock.run(partial(next, iter((True, False))))
            for _ in range(SWITCHES):
                await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self._served

    def _arrive(self, arrival: Arrival) -> None:
        self._tasks.append(asyncio.create_task(self._turn(arrival)))

    async def _turn(self, arrival: Arrival) -> None:
        await self._queue.turn(waiting_of(arrival), None)
        self._place(arrival)

    def _wake(self) -> None:
        self._queue.wake()


async def test_the_real_queue_serves_a_flood_as_the_simulated_one_does():
    trace = flood_trace(20.0, seed=1)
    seconds = trace[-1].at_seconds
    real = await QueuedSimulation(PROFILE, fixed_tokens=BUDGET_TOKENS).replay(trace, seconds)
    simulated = Simulation(PROFILE, fixed_tokens=BUDGET_TOKENS).run(trace, seconds)
    assert len(real) == pytest.approx(len(simulated), rel=0.05)
    assert judge(trace, real).jain == pytest.approx(judge(trace, simulated).jain, abs=0.02)
    for name in ("calm-1", "calm-2", "flood"):
        assert ttft(real, name) == pytest.approx(ttft(simulated, name), rel=0.15)


def ttft(served: list[Served], name: str) -> float:
    return mean(one.ttft_seconds or 0.0 for one in served if one.arrival.tenant.name == name)
