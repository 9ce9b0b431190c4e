"""What `make bench-router` shows and writes down."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from scorer.reports import Report
from services.bench.router.fairness import Fairness
from services.bench.router.metrics import Served, attainment, kept_ratio, percentile
from services.bench.router.overhead import Overhead

# the router's own name, and how its requests are budgeted
SLO, FIXED = "slo", "fixed"
REAL, SIMULATED = "real", "simulated"
CAPTION = (
    "SLO attainment is the share of requests whose first token and whose mean time for each token behind it came in "
    "time; refused and failed ones did not. Fixed: every request asks for one budget, with which on average as many "
    "tokens are kept as by the SLO rule in the simulation, before the same runtimes. Added: at 200 requests a second "
    "of 256 token ids, the router's own work as it logs it (`own_ms`); without that in its log, the difference of the "
    "percentiles that clients see through the router and directly, which has the connection in it. Jain's index "
    "is of the tokens served to equal tenants, one of which asks for ten times as much, relative to their max-min "
    "fair shares. The simulation has the router's own rules, latency models and fair order in it, before modelled "
    "replicas."
)
# how far apart a figure of the real run and that of the simulation may be
TOLERANCE = 0.05
TARGETS = {"slo_attainment": 0.95, "jain": 0.95, "added_ms_p99": 1.0, "messages_per_s": 2000.0}


@dataclass(frozen=True)
class Results:
    """All that was measured. `served` is by router and run."""

    served: Mapping[tuple[str, str], Sequence[Served]]
    fairness: Fairness
    fairness_simulated: Fairness
    overhead: Overhead

    def row(self) -> dict[str, float]:
        """The figures that matter."""
        overhead = self.overhead
        return {
            "slo_attainment": round(attainment(self.served[SLO, REAL]), 4),
            "slo_attainment_fixed": round(attainment(self.served[FIXED, REAL]), 4),
            "jain": round(self.fairness.jain, 4),
            "added_ms_p50": round(overhead.added_ms[0], 3),
            "added_ms_p99": round(overhead.added_ms[1], 3),
            "messages_per_s": round(overhead.messages_per_s, 1),
            "slo_attainment_simulated": round(attainment(self.served[SLO, SIMULATED]), 4),
            "slo_attainment_fixed_simulated": round(attainment(self.served[FIXED, SIMULATED]), 4),
            "jain_simulated": round(self.fairness_simulated.jain, 4),
        }

    def tenant_rows(self) -> list[dict[str, Any]]:
        """How each tenant fared under each router, and all of them together."""
        rows = []
        for (router, run), served in self.served.items():
            names = sorted({one.arrival.tenant.name for one in served})
            groups = {"all": list(served)} | {name: _of(served, name) for name in names}
            rows += [
                {"router": router, "run": run, "tenant": name, **_figures(group)} for name, group in groups.items()
            ]
        return rows


def misses(row: Mapping[str, float]) -> list[str]:
    """A sentence for each target that is missed."""
    found = []
    for name, target in TARGETS.items():
        better = "below" if name == "added_ms_p99" else "at least"
        if (row[name] >= target) if better == "below" else (row[name] < target):
            found.append(f"{name} is {row[name]:g}; wanted is {better} {target:g}")
    if row["slo_attainment_fixed"] >= row["slo_attainment"]:
        found.append("a fixed budget attains the SLO as often as the rule does")
    for name in ("slo_attainment", "slo_attainment_fixed", "jain"):
        simulated = row[f"{name}_simulated"]
        if abs(row[name] - simulated) > TOLERANCE:
            found.append(
                f"{name} is {row[name]:g}, and {simulated:g} simulated; wanted is the same within {TOLERANCE:g}"
            )
    return found


def to_reports(results: Results, settings: Mapping[str, Any]) -> tuple[Report, Report]:
    """The figures, and those by tenant."""
    by_tenant = Report("router-tenants", settings, results.tenant_rows(), CAPTION)
    beside = {
        "overhead": asdict(results.overhead),
        "asked_tokens": results.fairness.asked_tokens,
        "served_tokens": results.fairness.served_tokens,
        "agree_within": TOLERANCE,
    }
    return Report("router", {**settings, **beside}, [results.row()], CAPTION), by_tenant


def to_table(results: Results) -> Table:
    """The rows by tenant for a terminal, and the figures below them."""
    table = Table(caption=_caption(results.row()), caption_justify="left")
    for column in ("", "tenant", "in time", "kept", "TTFT p95", "TPOT p95"):
        table.add_column(column, justify="right" if table.columns[2:] else "left")
    for row in results.tenant_rows():
        shares = f"{row['attainment']:.1%}", f"{row['kept_ratio']:.1%}"
        times = f"{row['ttft_s_p95']:.2f} s", f"{row['tpot_ms_p95']:.1f} ms"
        table.add_row(f"{row['router']}, {row['run']}", row["tenant"], *shares, *times)
    return table


def _caption(row: Mapping[str, float]) -> str:
    return "\n".join(f"{name}: {value:g}" for name, value in row.items())


def _of(served: Sequence[Served], tenant: str) -> list[Served]:
    return [one for one in served if one.arrival.tenant.name == tenant]


def _figures(served: Sequence[Served]) -> dict[str, Any]:
    ttft = [one.ttft_seconds for one in served if one.ttft_seconds is not None]
    tpot = [1000 * one.tpot_seconds for one in served if one.tpot_seconds is not None]
    return {
        "requests": len(served),
        "answered": len(ttft),
        "attainment": round(attainment(served), 4),
        "kept_ratio": round(kept_ratio(served), 4),
        "kept_tokens": round(sum(one.kept_tokens for one in served) / max(1, len(ttft)), 1),
        "ttft_s_p50": round(percentile(ttft, 0.5), 4),
        "ttft_s_p95": round(percentile(ttft, 0.95), 4),
        "tpot_ms_p50": round(percentile(tpot, 0.5), 3),
        "tpot_ms_p95": round(percentile(tpot, 0.95), 3),
    }
