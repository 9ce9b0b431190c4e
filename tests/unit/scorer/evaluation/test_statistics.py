"""Intervals, gaps, cells and verdicts, by hand where a hand can."""

from dataclasses import replace
from pathlib import Path

import pytest

from scorer.evaluation.bootstrap import closed, difference, mean
from scorer.evaluation.budgets import BadBudget, Budget
from scorer.evaluation.cells import Cell, bucket, cells, in_every_budget
from scorer.evaluation.plots import plot_metric
from scorer.evaluation.results import Result
from scorer.evaluation.summary import rows
from scorer.evaluation.tables import by_budget, by_cell
from scorer.evaluation.verdict import judge, lines


def result(sample, method, nll, budget="20%", family="needle", **more):
    return Result(sample, family, True, 600, method, budget, 120, nll=nll, kl=nll, **more)


def needle(full, **methods):
    """Results of samples 0, 1, ... by method."""
    made = [result(str(i), "full", nll, "100%") for i, nll in enumerate(full)]
    return made + [result(str(i), name, nll) for name, each in methods.items() for i, nll in enumerate(each)]


CELL = Cell("needle", True, "0.5K-1K", "20%")


def test_a_mean_lies_in_its_interval_which_a_seed_decides():
    values = [0.1, 1.0, 2.2, 4.7, 8.0, 9.1, 3.3, 5.8]
    found = mean(values, seed=3)
    assert found == mean(values, seed=3) != mean(values, seed=4)
    assert found.mean == pytest.approx(4.275)
    assert found.n == 8
    assert 0.1 < found.lo < found.mean < found.hi < 9.1


def test_of_one_sample_or_equal_ones_the_interval_is_a_point():
    assert (mean([2.0], 0).lo, mean([2.0], 0).hi) == (2.0, 2.0)
    assert (mean([2.0, 2.0, 2.0], 0).lo, mean([2.0, 2.0, 2.0], 0).hi) == (2.0, 2.0)


def test_differences_are_of_pairs():
    # the samples differ far more than the methods do
    found = difference([1.5, 101.5, 51.5], [1.0, 101.0, 51.0], seed=0)
    assert (found.mean, found.lo, found.hi) == pytest.approx((0.5, 0.5, 0.5))
    assert found.excludes_zero


def test_the_gap_is_closed_from_the_worst_to_the_best():
    assert closed([2.0, 3.0], [4.0, 6.0], [1.0, 1.0], seed=0).mean == pytest.approx(2.5 / 4)
    assert closed([5.0, 7.0], [4.0, 6.0], [1.0, 1.0], seed=0).mean == pytest.approx(-1 / 4)
    assert closed([1.0, 2.0], [1.0, 2.0], [1.0, 2.0], seed=0).mean == 0


def test_a_resample_without_a_gap_closes_nothing_of_it():
    # of the two samples only one has a gap, and a quarter of the resamples draw the other twice
    found = closed([1.0, 1.0], [1.0, 3.0], [1.0, 1.0], seed=0)
    assert (found.mean, found.lo, found.hi) == (1.0, 0.0, 1.0)


@pytest.mark.parametrize(("label", "tokens"), [("20%", 121), ("128", 128), ("1%", 36), ("12.5%", 76)])
def test_budgets_are_rounded_up_to_what_is_always_kept(label, tokens):
    assert Budget(label).tokens(601, 36) == tokens


@pytest.mark.parametrize("label", ["", "x", "0", "-3", "0%", "100%", "1.5", "nan%", "%"])
def test_what_is_no_budget_is_named(label):
    with pytest.raises(BadBudget, match="budget: "):
        Budget(label)


def test_rows_are_the_figures_of_the_samples():
    found = cells(needle([1.0, 3.0], window=[3.0, 9.0], fused=[2.0, 4.0]))
    assert list(found) == [CELL]
    table = {(row["method"], row["metric"]): row for row in rows(found, seed=0)}
    assert table["full", "nll"]["mean"] == 2.0
    assert table["fused", "nll"]["mean"] == 3.0
    assert table["fused", "nll_minus_window"]["mean"] == -3.0
    assert table["fused", "nll_gap_closed"]["mean"] == pytest.approx((6 - 3) / (6 - 2))
    assert table["window", "nll_gap_closed"]["mean"] == 0
    assert ("full", "nll_gap_closed") not in table and ("fused", "accuracy") not in table
    assert table["fused", "nll"]["n"] == 2


def test_a_method_that_lacks_samples_is_compared_on_those_it_has():
    results = needle([1.0, 3.0], window=[3.0, 9.0], fused=[2.0])
    table = {(row["method"], row["metric"]): row for row in rows(cells(results), seed=0)}
    assert table["fused", "nll_gap_closed"]["mean"] == pytest.approx(0.5)
    assert (table["fused", "nll_gap_closed"]["n"], table["window", "nll"]["n"]) == (1, 2)


@pytest.mark.parametrize("samples", [9, 10])
def test_a_verdict_says_what_was_reached_and_what_was_missed(samples):
    good = needle([1.0, 1.0], window=[5.0, 5.0], fused=[2.0, 2.0], laq=[3.0, 3.0], oracle=[1.1, 1.1])
    bad = [
        Result(f"x{i}", "records", False, 600, method, "100%" if method == "full" else "20%", 120, nll=nll)
        for i in range(samples)
        for method, nll in (("full", 1.0), ("window", 2.0), ("fused", 2.5), ("laq", 1.5))
    ]
    flat = [
        Result(f"y{i}", "few_shot", False, 600, method, "100%" if method == "full" else "20%", 120, nll=1.0)
        for i in range(2)
        for method in ("full", "window", "fused", "laq")
    ]
    verdict = judge(cells([*good, *bad, *flat]), "fused", "nll", seed=0)
    assert verdict is not None
    assert verdict.median_gap == pytest.approx((0.75 - 0.5) / 2)
    assert (verdict.wins, len(verdict.standings)) == (1, 2)
    assert [cell.family for cell in verdict.below_window] == ["records"]
    # of nine samples no interval says much
    assert [cell.family for cell in verdict.worse_than_window] == ["records"] * (samples >= 10)
    assert [cell.family for cell in verdict.no_gap] == ["few_shot"]
    assert [standing.best_other for standing in verdict.standings] == ["laq", "laq"]
    sentence = lines(cells([*good, *bad, *flat]), "nll", seed=0)[0]
    assert "0.5K-1K tokens, nll: fused closes 12 % of the gap in the median of 2 cells" in sentence
    assert "not above window in records raw," in sentence
    outside = ", outside the interval" if samples >= 10 else ""
    assert f"ahead of every other method in 1 of 2 (ahead are laq in records raw{outside})" in sentence


def test_without_our_methods_the_verdict_says_so():
    assert "no cell has one of lookahead, fused" in lines(cells(needle([1.0], window=[2.0])), "nll", 0)[0]


def test_curves_are_of_samples_that_have_every_budget():
    twice = [result("0", "full", 1.0, "100%"), result("0", "fused", 2.0), result("0", "fused", 3.0, "10%")]
    once = [result("1", "full", 1.0, "100%"), result("1", "fused", 2.0)]
    assert in_every_budget([*twice, *once]) == twice
    assert in_every_budget(once) == once


def test_prompt_lengths_have_labels():
    assert [bucket(tokens) for tokens in (100, 512, 1024, 2048, 4096, 8192, 30000)] == [
        "-0.5K",
        "0.5K-1K",
        "0.5K-1K",
        "1K-2K",
        "2K-4K",
        "4K-8K",
        "8K-",
    ]


def test_a_table_has_a_line_a_cell_and_a_column_a_method():
    results = needle([1.0, 3.0], window=[3.0, 9.0], speckv_self=[2.0, 4.0])
    table = by_cell(list(rows(cells(results), seed=0)), "nll", "20%").splitlines()
    assert table[0] == "| family | form | tokens | n | full | window | SpecKV-like, self-drafted |"
    assert table[2].startswith("| needle | templated | 0.5K-1K | 2 | 2.000 <sub>")


def test_shares_of_the_gap_are_medians_of_cells_by_budget():
    near = needle([1.0], window=[3.0], fused=[1.0])
    far = [replace(each, family="records", nll=2.5 if each.method == "fused" else each.nll) for each in near]
    far = [replace(each, sample="9") for each in far]
    table = by_budget(list(rows(cells([*near, *far]), seed=0)), "nll").splitlines()
    assert table[0] == "| tokens | budget | cells | fused | window |"
    assert table[2:] == ["| 0.5K-1K | 20% | 2 | 0.62 | 0.00 |"]


def test_a_plot_is_drawn_of_what_there_is(tmp_path: Path):
    near = needle([1.0, 3.0], window=[3.0, 9.0])
    small = [replace(each, budget="10%") for each in near if each.method == "window"]
    made = list(rows(cells([*near, *small]), seed=0))
    assert plot_metric(made, "nll", "0.5K-1K", tmp_path / "nll.png")
    assert (tmp_path / "nll.png").read_bytes().startswith(b"\x89PNG")
    assert not plot_metric(made, "accuracy", "0.5K-1K", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
