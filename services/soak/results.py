"""What a soak found: the row of its report, and a sentence for each promise that was not kept."""

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice

from rich.table import Table

from scorer.reports import Report
from services.soak.plan import CONVERGE_SECONDS, REDIS_P99_MS, Plan
from services.soak.run import Soak

CAPTION = (
    "Times are the client's, all processes are on this machine. `converge_s`: from the first PONG after a crash or a "
    "partition until the runtime's list names the version that an alias was moved to then, and a request is sent that "
    "this version scores; `answered_s`: until that is answered, a matter of the engine's speed. `redis_*_ms`: other "
    "commands of Redis, one every 5 ms whether or not those before it were answered, before and while the large "
    "adapter is published, and until an answer names it; `idle_*_ms`: the same of a Redis that nobody else uses, which "
    "is what the machine adds. `wrong_version`: answers with a version that their alias did not point at then, as "
    "`services/soak/history.py` has it. `window_ratio`: answers that no adapter scored."
)
# of each kind, so that the first are read
MOST = 5


@dataclass(frozen=True)
class Row:
    """One soak. `moves_refused` were tried again, `moves_undone` were lost in a crash."""

    alias_moves: int
    restarts: int
    requests: int
    failed: int
    wrong_version: int
    leaked_keys: int
    converge_s_max: float
    converge_s_median: float
    answered_s_max: float
    partitions: int
    moves_refused: int
    moves_undone: int
    versions_published: int
    versions_deleted: int
    versions_seen: int
    window_ratio: float
    requests_per_s: float
    seconds: float
    large_mib: float
    publish_s: float
    load_s: float
    redis_before_p50_ms: float
    redis_before_p99_ms: float
    redis_before_max_ms: float
    redis_publish_p50_ms: float
    redis_publish_p99_ms: float
    redis_publish_max_ms: float
    redis_load_p50_ms: float
    redis_load_p99_ms: float
    redis_load_max_ms: float
    idle_publish_p99_ms: float
    idle_load_p99_ms: float


def to_row(soak: Soak) -> Row:
    """Of a soak that is over."""
    counts, seen, outcome, large = soak.mover.counts, soak.load.seen, soak.outcome, soak.outcome.large
    return Row(
        alias_moves=counts.moves,
        restarts=outcome.restarts,
        requests=soak.load.requests,
        failed=len(soak.load.failures) + len(outcome.hung),
        wrong_version=sum(1 for _ in _objections(soak)),
        leaked_keys=len(outcome.leaked),
        converge_s_max=max(outcome.converge_seconds, default=0.0),
        converge_s_median=round(statistics.median(outcome.converge_seconds or [0.0]), 3),
        answered_s_max=max(outcome.answered_seconds, default=0.0),
        partitions=outcome.partitions,
        moves_refused=counts.refused,
        moves_undone=counts.undone,
        versions_published=counts.published,
        versions_deleted=counts.deleted,
        versions_seen=len({answer.version for answer in seen if answer.version}),
        window_ratio=round(sum(answer.by_window for answer in seen) / max(1, len(seen)), 4),
        requests_per_s=round(soak.load.requests / max(1.0, outcome.seconds), 2),
        seconds=outcome.seconds,
        large_mib=round(large.size_bytes / 2**20, 1),
        publish_s=large.publish_seconds,
        load_s=large.load_seconds,
        redis_before_p50_ms=large.before.p50,
        redis_before_p99_ms=large.before.p99,
        redis_before_max_ms=large.before.max,
        redis_publish_p50_ms=large.publishing.p50,
        redis_publish_p99_ms=large.publishing.p99,
        redis_publish_max_ms=large.publishing.max,
        redis_load_p50_ms=large.loading.p50,
        redis_load_p99_ms=large.loading.p99,
        redis_load_max_ms=large.loading.max,
        idle_publish_p99_ms=large.idle_publishing.p99,
        idle_load_p99_ms=large.idle_loading.p99,
    )


def broken_promises(row: Row, plan: Plan) -> Iterator[str]:
    """A sentence for each."""
    for name in ("failed", "wrong_version", "leaked_keys"):
        if count := getattr(row, name):
            yield f"{name}: {count} instead of 0"
    if (row.alias_moves, row.restarts) != (plan.moves, plan.restarts):
        yield f"{row.alias_moves} moves and {row.restarts} restarts instead of {plan.moves} and {plan.restarts}"
    if row.converge_s_max > CONVERGE_SECONDS:
        yield f"answers followed {row.converge_s_max:g} s after Redis was back; {CONVERGE_SECONDS:g} s are allowed"
    for what, p99, idle in (
        ("published", row.redis_publish_p99_ms, row.idle_publish_p99_ms),
        ("loaded", row.redis_load_p99_ms, row.idle_load_p99_ms),
    ):
        if not 0 < p99 < REDIS_P99_MS:
            yield (
                f"p99 of other commands while the large adapter was {what}: {p99:g} ms, not below {REDIS_P99_MS:g} ms; "
                f"that of an idle Redis on this machine was {idle:g} ms"
            )


def details(soak: Soak) -> Iterator[str]:
    """What happened, the first few of each kind."""
    yield from (f"failed: {sentence}" for sentence in (*soak.outcome.hung, *soak.load.failures[:MOST]))
    yield from (f"wrong version: {sentence}" for sentence in islice(_objections(soak), MOST))
    yield from (f"leaked: {key}" for key in soak.outcome.leaked[:MOST])
    for reason, count in soak.load.window_reasons.most_common(MOST):
        yield f"window scored {count} times: {reason}"


def to_table(row: Row) -> Table:
    """The row for a terminal, a figure a line."""
    table = Table("soak of the registry", "")
    for name, value in asdict(row).items():
        table.add_row(name, f"{value:,}")
    return table


def to_report(row: Row, plan: Plan, model: str, backend: str) -> Report:
    """The row with what was asked for."""
    settings = {"model": model, "backend": backend, **asdict(plan)}
    return Report("registry", settings, [asdict(row)], CAPTION)


def _objections(soak: Soak) -> Iterator[str]:
    return filter(None, map(soak.history.objection, soak.load.seen))
