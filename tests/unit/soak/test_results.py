from dataclasses import fields, replace

import pytest

from services.soak.large import Latencies
from services.soak.plan import Plan
from services.soak.results import Row, broken_promises, to_report, to_table

PLAN = Plan(moves=10, restarts=2, large_bytes=1, seed=0)
NOTHING = Row(**{field.name: 0 for field in fields(Row)})
KEPT = replace(NOTHING, alias_moves=10, restarts=2, redis_publish_p99_ms=1.0, redis_load_p99_ms=1.0)


def test_soak_that_keeps_its_promises_has_no_sentence():
    assert list(broken_promises(KEPT, PLAN)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"failed": 1}, "failed: 1", id="a request that failed"),
        pytest.param({"wrong_version": 2}, "wrong_version: 2", id="a wrong version"),
        pytest.param({"leaked_keys": 3}, "leaked_keys: 3", id="a leak"),
        pytest.param({"alias_moves": 9}, "9 moves and 2 restarts instead of 10 and 2", id="a move that is missing"),
        pytest.param({"restarts": 1}, "10 moves and 1 restarts", id="a restart that is missing"),
        pytest.param({"converge_s_max": 5.1}, "followed 5.1 s after", id="answers that follow late"),
        pytest.param({"redis_publish_p99_ms": 20.0}, "was published: 20 ms", id="a publish that others wait for"),
        pytest.param({"redis_load_p99_ms": 21.0}, "was loaded: 21 ms", id="a load that others wait for"),
        pytest.param({"redis_load_p99_ms": 0.0}, "was loaded: 0 ms", id="a load that was not measured"),
    ],
)
def test_each_broken_promise_is_a_sentence(changes, said):
    (sentence,) = broken_promises(replace(KEPT, **changes), PLAN)
    assert said in sentence


def test_report_has_the_keys_that_others_read_and_the_table_a_line_for_each():
    report = to_report(KEPT, PLAN, "tiny", "fake")
    wanted = {"alias_moves", "restarts", "requests", "failed", "wrong_version", "leaked_keys", "converge_s_max"}
    assert report.name == "registry"
    assert wanted <= set(report.rows[0])
    assert report.settings["seed"] == 0
    assert to_table(KEPT).row_count == len(fields(Row))


def test_latencies_are_of_the_commands_that_were_due_in_the_time():
    samples = [(at, float(at)) for at in range(300)]
    assert Latencies.of(samples, 100, 201) == Latencies(150.0, 199.0, 200.0)
    assert Latencies.of(samples, 400, 500) == Latencies()
