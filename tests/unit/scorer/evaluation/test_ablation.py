"""Trainings side by side, by hand."""

import json

import pytest

from scorer.evaluation.ablation_command import ablation
from scorer.evaluation.results import Result, append_results


def results(file, by_family, budget="20%"):
    """NLL of full KV, window, lookahead and fused, by family; one sample each."""
    for number, (family, values) in enumerate(by_family.items()):
        made = [
            Result(str(number) * 16, family, True, 600, method, limit, 120, retained_evictable=0.5, nll=nll, kl=nll)
            for (method, limit), nll in zip(
                [("full", "100%"), ("window", budget), ("lookahead", budget), ("fused", budget)], values, strict=True
            )
        ]
        append_results(file, made)
    return file


def test_a_row_for_each_training_and_policy_sums_up_the_cells(tmp_path):
    one = results(tmp_path / "one.jsonl", {"needle": (1.0, 3.0, 2.0, 1.0), "records": (1.0, 2.0, 2.5, 1.5)})
    two = results(tmp_path / "two.jsonl", {"needle": (1.0, 3.0, 1.5, 1.5), "records": (1.0, 2.0, 1.5, 1.5)})
    ablation([f"paper={one}", f"ours={two}"], out=tmp_path / "reports")
    rows = json.loads((tmp_path / "reports" / "ablation.json").read_text())["rows"]
    assert [(row["training"], row["policy"]) for row in rows] == [
        ("paper", "lookahead"),
        ("paper", "fused"),
        ("ours", "lookahead"),
        ("ours", "fused"),
    ]
    lookahead, fused = rows[:2]
    # half and minus half of the way, and all and half of it
    assert (lookahead["gap_closed_median"], lookahead["gap_closed_worst"]) == (0.0, -0.5)
    assert (fused["gap_closed_median"], fused["gap_closed_worst"]) == (0.75, 0.5)
    assert [row["cells_above_window"] for row in rows] == [1, 2, 2, 2]
    assert {(row["cells"], row["samples"], row["retained_evictable"]) for row in rows} == {(2, 2, 0.5)}


@pytest.mark.parametrize("training", ["one.jsonl", "=one.jsonl", "one="])
def test_trainings_have_names(training):
    with pytest.raises(SystemExit, match="write NAME=RESULTS.jsonl"):
        ablation([training])


def test_a_file_without_the_budget_is_named(tmp_path):
    file = results(tmp_path / "one.jsonl", {"needle": (1.0, 3.0, 2.0, 1.0)}, budget="128")
    with pytest.raises(SystemExit, match=r"one\.jsonl: has no results at budget 20%"):
        ablation([f"one={file}"], out=tmp_path)
