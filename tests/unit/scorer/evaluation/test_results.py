"""Files of results: what is there stays, a torn line goes, another run is refused."""

import pytest

from scorer.evaluation.results import BadResults, Result, append_results, check_settings, read_results

ONE = Result("0" * 16, "needle", True, 600, "window", "20%", 120, nll=1.5, accuracy=None)
TWO = Result("1" * 16, "needle", False, 700, "fused", "128", 128, nll=2.5, accuracy=1.0)


def test_results_come_back_as_they_were(tmp_path):
    file = tmp_path / "r.jsonl"
    append_results(file, [ONE])
    append_results(file, [TWO])
    assert read_results(file) == [ONE, TWO]


def test_a_line_that_an_interrupt_tore_is_left_out_and_written_over(tmp_path):
    file = tmp_path / "r.jsonl"
    append_results(file, [ONE])
    with file.open("a") as lines:
        lines.write('{"sample": "11')
    assert read_results(file) == [ONE]
    append_results(file, [TWO])
    assert read_results(file) == [ONE, TWO]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no JSON", "r.jsonl, line 1: is no result"),
        ('{"sample": "a"}', "line 1: is no result: .*family: Field required"),
        ("[1]", "r.jsonl, line 1: is no result"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    file = tmp_path / "r.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(BadResults, match=message):
        read_results(file)


def test_results_of_other_settings_are_not_gone_on_with(tmp_path):
    file = tmp_path / "r.jsonl"
    check_settings(file, {"adapter_sha256": "a", "seed": 0})
    append_results(file, [ONE])
    check_settings(file, {"adapter_sha256": "a", "seed": 0})
    with pytest.raises(BadResults, match="is of another run.*adapter_sha256: a there, b asked"):
        check_settings(file, {"adapter_sha256": "b", "seed": 0})


def test_results_of_which_nobody_knows_the_settings_are_not_gone_on_with(tmp_path):
    file = tmp_path / "r.jsonl"
    append_results(file, [ONE])
    with pytest.raises(BadResults, match="has results and no r.settings.json"):
        check_settings(file, {})
