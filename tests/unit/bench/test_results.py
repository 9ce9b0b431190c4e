"""What the benchmark reports of its figures."""

from services.bench.router.fairness import Fairness
from services.bench.router.metrics import Served
from services.bench.router.overhead import Overhead
from services.bench.router.results import FIXED, REAL, SIMULATED, SLO, Results, misses, to_reports
from services.bench.router.trace import Arrival, Tenant

CHAT, BATCH = Tenant("chat", 0.5, 1.0, 0.05), Tenant("batch", 0.5, 8.0, 0.05)
IN_TIME, LATE = (
    [Served(Arrival(0.0, tenant, 1000, 10), 500, "slo", ttft, 0.01) for tenant in (CHAT, BATCH)] for ttft in (0.5, 9.0)
)
RESULTS = Results(
    {(SLO, REAL): IN_TIME, (FIXED, REAL): LATE, (SLO, SIMULATED): IN_TIME, (FIXED, SIMULATED): LATE},
    Fairness(0.99, {"calm-1": 10.0}, {"calm-1": 10.0}),
    Fairness(0.98, {"calm-1": 10.0}, {"calm-1": 10.0}),
    Overhead((2.0, 4.0), (3.5, 6.0), (0.3, 0.9), 2500.0),
)


def test_one_row_has_the_figures_that_matter():
    report, _ = to_reports(RESULTS, {"seed": 1})
    assert report.rows == [
        {
            "slo_attainment": 1.0,
            "slo_attainment_fixed": 0.0,
            "jain": 0.99,
            "added_ms_p50": 0.3,
            "added_ms_p99": 0.9,
            "messages_per_s": 2500.0,
            "slo_attainment_simulated": 1.0,
            "slo_attainment_fixed_simulated": 0.0,
            "jain_simulated": 0.98,
        }
    ]
    assert report.settings["seed"] == 1 and report.settings["overhead"]["router_ms"] == (3.5, 6.0)


def test_each_tenant_has_a_row_for_each_router_and_run():
    _, by_tenant = to_reports(RESULTS, {})
    assert len(by_tenant.rows) == 4 * 3
    assert by_tenant.rows[0] == {
        "router": "slo",
        "run": "real",
        "tenant": "all",
        "requests": 2,
        "answered": 2,
        "attainment": 1.0,
        "kept_ratio": 0.5,
        "kept_tokens": 500.0,
        "ttft_s_p50": 0.5,
        "ttft_s_p95": 0.5,
        "tpot_ms_p50": 10.0,
        "tpot_ms_p95": 10.0,
    }


def test_without_its_own_times_the_router_adds_what_clients_see():
    assert Overhead((2.0, 4.0), (3.5, 6.0), None, 0.0).added_ms == (1.5, 2.0)


def test_missed_targets_are_sentences_with_both_figures():
    row = RESULTS.row()
    assert misses(row) == []
    assert misses(row | {"jain": 0.5, "jain_simulated": 0.52, "added_ms_p99": 1.0}) == [
        "jain is 0.5; wanted is at least 0.95",
        "added_ms_p99 is 1; wanted is below 1",
    ]
    fixed = {"slo_attainment_fixed": 1.0, "slo_attainment_fixed_simulated": 1.0}
    assert misses(row | fixed) == ["a fixed budget attains the SLO as often as the rule does"]


def test_a_simulation_that_says_something_else_is_a_miss():
    row = RESULTS.row()
    assert misses(row | {"slo_attainment_simulated": 0.96, "jain_simulated": 0.95}) == []
    assert misses(row | {"slo_attainment_simulated": 0.94}) == [
        "slo_attainment is 1, and 0.94 simulated; wanted is the same within 0.05"
    ]
