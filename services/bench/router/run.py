"""The parts of the benchmark, one after the other, on real processes and in simulation."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from services.bench.router import overhead
from services.bench.router.client import Build, replay, with_fixed, with_slo
from services.bench.router.fairness import FLOOD_FACTOR, Fairness, flood_trace, measure_fairness
from services.bench.router.fleet import Fleet, local_fleet
from services.bench.router.metrics import Served
from services.bench.router.overhead import Overhead, measure_overhead
from services.bench.router.plan import Plan
from services.bench.router.results import FIXED, REAL, SIMULATED, SLO, Results
from services.bench.router.simulation import Simulation, same_memory_tokens
from services.bench.router.trace import Arrival
from services.local.settings import LocalSettings

T = TypeVar("T")
TICK_SECONDS = 0.25
# of each calm tenant, beside one that sends ten times as many; more in all than the replicas can serve
FLOOD_PER_SECOND = 4.0
# an answer of many steps sends few messages, so that the processes measured share the cores with little else
TRACE_VARIABLES = {"RUNTIME_COALESCE_SECONDS": "0.1"}


def run(plan: Plan, settings: LocalSettings, console: Console) -> tuple[Results, int]:
    """All results, and the budget of the fixed router. Raises ProcessFailed."""
    trace = plan.trace()
    by_rule = Simulation(plan.profile).run(trace)
    budget_tokens = same_memory_tokens(trace, sum(one.kept_tokens for one in by_rule) / len(trace))
    fixed = Simulation(plan.profile, fixed_tokens=budget_tokens).run(trace)
    with local_fleet("trace", plan.profile.engine_args(), settings, console, TRACE_VARIABLES) as fleet:
        real = {
            (SLO, REAL): _replay("SLO rule", fleet, trace, with_slo(), console),
            (FIXED, REAL): _replay("fixed budget", fleet, trace, with_fixed(budget_tokens), console),
        }
        fairness = _fairness(plan, fleet, console)
    costs = _overhead(plan, settings, console)
    served = {**real, (SLO, SIMULATED): by_rule, (FIXED, SIMULATED): fixed}
    return Results(served, fairness, costs), budget_tokens


def _replay(title: str, fleet: Fleet, trace: Sequence[Arrival], build: Build, console: Console) -> list[Served]:
    served: list[Served] = []
    with _progress(title, len(trace), console) as advance:

        def add(one: Served) -> None:
            served.append(one)
            advance(1)

        uvloop.run(replay(fleet.router, trace, build, add))
    fleet.check()
    return served


def _fairness(plan: Plan, fleet: Fleet, console: Console) -> Fairness:
    # as many requests as the flood needs for the time
    requests = max(2, int(FLOOD_PER_SECOND * (2 + FLOOD_FACTOR) * plan.seconds))
    trace = flood_trace(requests, plan.seed, FLOOD_PER_SECOND)
    with _progress("one tenant floods", trace[-1].at_seconds, console) as advance:
        found = uvloop.run(_ticking(measure_fairness(fleet.router, trace), advance))
    fleet.check()
    return found


def _overhead(plan: Plan, settings: LocalSettings, console: Console) -> Overhead:
    with (
        local_fleet("overhead", overhead.ENGINE_ARGS, settings, console, overhead.VARIABLES) as fleet,
        # calls in turn, then streams
        _progress("what the router adds", 2 * plan.seconds, console) as advance,
    ):
        return uvloop.run(_ticking(measure_overhead(fleet, plan.seconds), advance))


async def _ticking(work: Coroutine[Any, Any, T], advance: Callable[[float], None]) -> T:
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait([task], timeout=TICK_SECONDS))[0]:
            advance(TICK_SECONDS)
        return task.result()
    finally:
        task.cancel()


@contextmanager
def _progress(title: str, total: float, console: Console) -> Iterator[Callable[[float], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
    )
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task(title, total=total)
        yield lambda amount: progress.advance(task, amount)
        progress.update(task, completed=total)
