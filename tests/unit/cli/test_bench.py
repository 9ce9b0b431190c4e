"""What a bench sends, and what it makes of the answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.bench.cases import Case, Plan, cases_of, work_of
from services.cli.bench.measuring import Sample
from services.cli.bench.summary import plain, rows_of

PLAN = Plan(3, 5, 9, 4, seed=1)


def test_each_policy_meets_each_budget():
    cases = cases_of(["window", "fused"], ["100", "20%"])
    assert [case.name for case in cases] == ["window 100", "window 20%", "fused 100", "fused 20%"]
    assert [case.name for case in cases_of([], [])] == ["default"]


def test_every_case_gets_the_same_prompts_each_with_a_first_line_of_its_own():
    works = list(work_of(PLAN, cases_of(["full"], ["", "10", "20%"])))
    assert [work.number for work in works] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    lines = [work.request.text.partition("\n") for work in works]
    assert len({line[0] for line in lines}) == 9 and len({line[2] for line in lines}) == 3
    assert all(5 <= len(line[2].split()) <= 9 for line in lines)
    assert [(work.request.kv.budget_tokens, work.request.kv.keep_ratio) for work in works[:3]] == [
        (0, 0.0),
        (10, 0.0),
        (0, 0.2),
    ]
    assert [work.request.text for work in work_of(PLAN, cases_of([], []))] == [
        work.request.text for work in work_of(PLAN, cases_of([], []))
    ]


@given(factor=st.floats(0.1, 10), times=st.lists(st.floats(0.001, 10), min_size=1, max_size=20))
def test_ratios_are_to_the_first_case_prompt_by_prompt(factor, times):
    cases = [Case("full", ""), Case("fused", "20%")]
    samples = [sample(cases[0], number, seconds) for number, seconds in enumerate(times)]
    samples += [sample(cases[1], number, factor * seconds) for number, seconds in enumerate(times)]
    first, second = rows_of(cases, samples)
    assert first.ttft_ratio == 1
    assert second.ttft_ratio == pytest.approx(factor)
    # what is interpolated between two equal numbers may differ from them in the last digit
    assert first.ttft_ms.p10 <= first.ttft_ms.p50 * 1.000001 <= first.ttft_ms.p90 * 1.000002


def test_failures_are_counted_and_a_case_without_an_answer_has_no_row():
    cases = cases_of([], ["10", "20"])
    samples = [sample(cases[0], 0, 1.0), sample(cases[0], 1, 1.0, error="gone"), sample(cases[1], 0, 1.0, error="gone")]
    (row,) = plain(rows_of(cases, samples))
    assert (row["case"], row["answers"], row["failures"], row["kept_ratio"]) == ("10", 1, 1, 0.25)


def sample(case: Case, number: int, seconds: float, error: str = "") -> Sample:
    (work,) = [work for work in work_of(Plan(number + 1, 5, 5, 4, 1), [case]) if work.number == number]
    return Sample(work, seconds, seconds, 100, 25, 4, error)
