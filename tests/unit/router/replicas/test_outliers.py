"""When a replica is left alone, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.latency.model import LatencyModel, Observation
from router.replicas.outliers import LEAST_SAMPLES, OutlierSettings, Standing, may_put_out, slow_ones

SETTINGS = OutlierSettings(failures=3, slow_factor=4.0, first_seconds=5.0, most_seconds=60.0, most_ratio=0.5)


def failed(times: int) -> Standing:
    standing = Standing()
    for _ in range(times):
        standing.failed()
    return standing


def test_failures_count_only_in_a_row():
    standing = failed(2)
    standing.succeeded()
    standing.failed()
    assert not standing.is_bad(SETTINGS)
    assert failed(3).is_bad(SETTINGS)


def test_each_time_is_twice_as_long_and_one_good_call_ends_the_probation():
    standing = failed(3)
    assert [standing.put_out(100.0, SETTINGS) for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    assert standing.out(159.0) and not standing.out(160.0)
    assert standing.on_probation
    standing.failed()
    # on probation the first failure is enough
    assert standing.is_bad(SETTINGS)
    standing.succeeded()
    assert (standing.on_probation, standing.put_out(0.0, SETTINGS)) == (False, 5)


@given(out=st.integers(0, 20), replicas=st.integers(1, 20), ratio=st.floats(0, 1))
def test_never_more_than_the_share_is_out(out, replicas, ratio):
    settings = OutlierSettings(most_ratio=ratio)
    assert may_put_out(out, replicas, settings) == (out + 1 <= ratio * replicas)


@pytest.mark.parametrize(
    ("seconds", "slow"), [((0.1, 0.1, 0.12), set()), ((0.1, 0.1, 2.0), {"c"}), ((0.001, 0.02), set())]
)
def test_one_is_slow_that_takes_many_times_what_the_others_take(seconds, slow):
    models = {name: learned(value) for name, value in zip("abc", seconds, strict=False)}
    assert set(slow_ones(models, SETTINGS)) == slow


def test_nobody_is_slow_before_there_are_answers_or_alone():
    assert slow_ones({"a": learned(9.0, LEAST_SAMPLES - 1), "b": learned(0.1)}, SETTINGS) == {}
    assert slow_ones({"a": learned(9.0)}, SETTINGS) == {}


def learned(seconds: float, samples: int = 10 * LEAST_SAMPLES) -> LatencyModel:
    model = LatencyModel()
    for _ in range(samples):
        model.observe(Observation(1000, 0, ttft_seconds=seconds))
    return model
