"""A replica's latency model finds the truth in noise, keeps its head, and follows a replica that changes."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.latency.model import MOST_SECONDS, LatencyModel, Observation, Prior

BASE, PROMPT, QUEUED = 0.05, 2e-4, 1.5e-4
STEP, TOKEN = 0.012, 1.5e-6

numbers = st.floats(allow_nan=True, allow_infinity=True)
tokens = st.one_of(st.integers(min_value=-(10**12), max_value=10**12), st.floats(allow_nan=False, allow_infinity=False))


def observations(count: int, slower: float = 1.0, wild_ratio: float = 0.0, seed: int = 0) -> list[Observation]:
    """What a replica would report, with 10% of noise; some answers took up to a thousand times as long."""
    random_ = random.Random(seed)
    found = []
    for _ in range(count):
        prompt, queued, resident = random_.randint(10, 8000), random_.randint(0, 20_000), random_.randint(0, 60_000)
        wild = random_.uniform(10, 1000) if random_.random() < wild_ratio else 1.0
        factor = slower * wild * random_.gauss(1, 0.1)
        ttft, tpot = BASE + PROMPT * prompt + QUEUED * queued, STEP + TOKEN * resident
        found.append(Observation(prompt, queued, factor * ttft, resident, factor * tpot))
    return found


def learned(*batches: list[Observation]) -> LatencyModel:
    model = LatencyModel()
    for batch in batches:
        for observation in batch:
            model.observe(observation)
    return model


def assert_close(model: LatencyModel, slower: float, tolerance: float) -> None:
    for prompt, queued in ((2000, 0), (8000, 0), (2000, 10_000)):
        truth = slower * (BASE + PROMPT * prompt + QUEUED * queued)
        assert model.predict_ttft(prompt, queued) == pytest.approx(truth, rel=tolerance, abs=0.1 * slower)
    for resident in (5000, 20_000, 60_000):
        assert model.predict_tpot(resident) == pytest.approx(slower * (STEP + TOKEN * resident), rel=tolerance)


def test_without_data_it_says_what_the_prior_says():
    model, prior = LatencyModel(), Prior()
    assert model.samples == 0
    assert model.predict_ttft(1000, 500) == pytest.approx(
        prior.ttft_base_seconds + 1000 * prior.ttft_prompt_token_seconds + 500 * prior.ttft_queued_token_seconds
    )
    assert model.tpot_base_seconds == prior.tpot_base_seconds
    assert model.tpot_token_seconds == prior.tpot_token_seconds


@pytest.mark.parametrize("seed", range(5))
def test_coefficients_are_found_in_noisy_reports(seed):
    model = learned(observations(300, seed=seed))
    assert model.samples == 300
    assert_close(model, 1.0, 0.15)
    assert model.tpot_token_seconds == pytest.approx(TOKEN, rel=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_one_wild_report_in_ten_changes_little(seed):
    assert_close(learned(observations(400, wild_ratio=0.1, seed=seed)), 1.0, 0.25)


@pytest.mark.parametrize("slower", [0.5, 2.0])
def test_a_replica_that_becomes_half_or_twice_as_fast_is_known_after_200_answers(slower):
    model = learned(observations(500), observations(200, slower=slower, seed=1))
    assert_close(model, slower, 0.25)


def test_a_replica_300_times_slower_than_the_prior_is_known_after_200_answers():
    assert_close(learned(observations(200, slower=300.0)), 300.0, 0.3)


def test_what_the_data_say_nothing_of_stays_at_the_prior():
    model = LatencyModel()
    for _ in range(50):
        model.observe(Observation(1000, 0, 0.5))
    assert model.predict_ttft(1000, 0) == pytest.approx(0.5, rel=0.05)
    assert model.predict_ttft(1000, 1000) - model.predict_ttft(1000, 0) == pytest.approx(
        1000 * Prior().ttft_queued_token_seconds
    )
    assert model.tpot_base_seconds == Prior().tpot_base_seconds


@pytest.mark.parametrize("seconds", [None, 0.0, -1.0, math.inf, -math.inf, math.nan, 2 * MOST_SECONDS])
def test_a_report_that_makes_no_sense_is_ignored(seconds):
    model, untouched = learned(observations(20)), learned(observations(20))
    model.observe(Observation(1000, 0, seconds, 1000, seconds))
    assert model.samples == 20
    assert model.predict_ttft(1000, 0) == untouched.predict_ttft(1000, 0)
    assert model.predict_tpot(1000) == untouched.predict_tpot(1000)


@given(
    reports=st.lists(st.builds(Observation, tokens, tokens, numbers, numbers, numbers), max_size=30),
    prompt=tokens,
    queued=tokens,
)
@settings(deadline=None)
def test_no_report_makes_a_prediction_negative_or_no_number(reports, prompt, queued):
    model = learned(reports)
    found = (model.predict_ttft(prompt, queued), model.predict_tpot(queued), model.predict_ttft(0, 0))
    assert all(math.isfinite(seconds) and 0 <= seconds <= MOST_SECONDS for seconds in found)
    assert model.tpot_base_seconds >= 0 and model.tpot_token_seconds >= 0


@given(count=st.integers(0, 60), prompt=st.integers(0, 10_000), more=st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_longer_prompts_and_queues_never_look_faster(count, prompt, more):
    model = learned(observations(count, wild_ratio=0.3))
    assert model.predict_ttft(prompt, 0) <= model.predict_ttft(prompt + more, 0) <= model.predict_ttft(prompt + more, 5)


def test_the_same_reports_give_the_same_model():
    first, second = (learned(observations(50, wild_ratio=0.2)) for _ in range(2))
    assert first.predict_ttft(700, 70) == second.predict_ttft(700, 70)
    assert first.predict_tpot(700) == second.predict_tpot(700)
