"""The parts of the benchmark, one after the other, on real processes and in simulation."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
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
from services.bench.router.fairness import flood_trace, measure_fairness, simulate_fairness
from services.bench.router.fleet import Fleet, FleetSpec, local_fleets
from services.bench.router.metrics import Served
from services.bench.router.overhead import measure_overhead
from services.bench.router.plan import Plan
from services.bench.router.results import FIXED, REAL, SIMULATED, SLO, Results
from services.bench.router.simulation import Simulation, same_memory_tokens
from services.bench.router.trace import Arrival
from services.local.settings import LocalSettings

T = TypeVar("T")
TICK_SECONDS = 0.25
# long beside an answer, of which some are on their way at the end
FLOOD_FACTOR = 2.0
# an answer of many steps sends few messages, so that the processes measured share the cores with little else
TRACE_VARIABLES = {"RUNTIME_COALESCE_SECONDS": "0.1", "ROUTER_TRUSTED_NETWORKS": "127.0.0.0/8"}


def run(plan: Plan, settings: LocalSettings, console: Console) -> tuple[Results, int]:
    """All results, and the budget of the fixed router. Raises ProcessFailed."""
    trace = plan.trace()
    by_rule = Simulation(plan.profile).run(trace)
    budget_tokens = same_memory_tokens(trace, sum(one.kept_tokens for one in by_rule) / len(trace))
    fixed = Simulation(plan.profile, fixed_tokens=budget_tokens).run(trace)
    fleets = (
        FleetSpec("trace", plan.profile.engine_args(), TRACE_VARIABLES),
        FleetSpec("overhead", overhead.ENGINE_ARGS, overhead.VARIABLES),
    )
    with local_fleets(fleets, settings, console) as (modelled, fast):
        # one loop for all, because grpc.aio is lost without its first one
        results = uvloop.run(_measure(plan, modelled, fast, budget_tokens, console))
    simulated = {(SLO, SIMULATED): by_rule, (FIXED, SIMULATED): fixed}
    return replace(results, served={**results.served, **simulated}), budget_tokens


async def _measure(plan: Plan, modelled: Fleet, fast: Fleet, budget_tokens: int, console: Console) -> Results:
    trace = plan.trace()
    real = {
        (SLO, REAL): await _replay("SLO rule", modelled, trace, with_slo(), console),
        (FIXED, REAL): await _replay("fixed budget", modelled, trace, with_fixed(budget_tokens), console),
    }
    flood = flood_trace(FLOOD_FACTOR * plan.seconds, plan.seed)
    with _progress("one tenant floods", flood[-1].at_seconds, console) as advance:
        fairness = await _ticking(measure_fairness(modelled.router, flood), advance)
    modelled.check()
    # calls in turn, then streams
    with _progress("what the router adds", 2 * plan.seconds, console) as advance:
        costs = await _ticking(measure_overhead(fast, plan.seconds), advance)
    fast.check()
    return Results(real, fairness, simulate_fairness(plan.profile, flood), costs)


async def _replay(title: str, fleet: Fleet, trace: Sequence[Arrival], build: Build, console: Console) -> list[Served]:
    served: list[Served] = []
    with _progress(title, len(trace), console) as advance:

        def add(one: Served) -> None:
            served.append(one)
            advance(1)

        await replay(fleet.router, trace, build, add)
    fleet.check()
    return served


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
