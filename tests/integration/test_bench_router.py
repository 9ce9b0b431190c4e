"""The router's benchmark runs from end to end, and leaves its reports behind."""

import json
import os
import subprocess
import sys

from tests.processes import ROOT

FIGURES = {"slo_attainment", "slo_attainment_fixed", "jain", "added_ms_p50", "added_ms_p99", "messages_per_s"}


def test_a_small_benchmark_reports_every_figure(tmp_path):
    command = [sys.executable, "-m", "services.bench.router.main", "--requests", "40", "--seconds", "0.5", "--json"]
    environment = os.environ | {"LOOKAHEADKV_BUILD_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    (row,) = report["rows"]
    assert row.keys() >= FIGURES
    assert 0 < row["jain"] <= 1 and 0 < row["slo_attainment"] <= 1 and row["messages_per_s"] > 0
    assert report == json.loads((tmp_path / "reports" / "router.json").read_text())
    by_tenant = json.loads((tmp_path / "reports" / "router-tenants.json").read_text())["rows"]
    assert {(one["router"], one["run"]) for one in by_tenant} == {
        (router, run) for router in ("slo", "fixed") for run in ("real", "simulated")
    }
    assert all(one["answered"] == one["requests"] for one in by_tenant if one["tenant"] == "all")
