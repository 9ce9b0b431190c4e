import json
import os
from datetime import datetime

import pytest

from scorer.reports import Report, write_report

REPORT = Report("speed", {"model": "tiny"}, [{"policy": "full", "rate": 12.345, "answer": "a | b\nc"}], "Cold start.")


@pytest.fixture
def content(tmp_path):
    return json.loads(write_report(REPORT, tmp_path / "reports").read_text())


def test_a_report_holds_what_was_measured_when_and_where(content):
    assert list(content) == ["name", "commit", "date", "machine", "settings", "rows"]
    assert content["rows"] == REPORT.rows
    assert content["settings"] == REPORT.settings
    assert datetime.fromisoformat(content["date"]).tzinfo is not None


def test_the_machine_is_described_by_hardware_and_engine_versions(content):
    machine = content["machine"]
    assert list(machine) == ["cpu", "cores", "gpu", "torch", "triton", "sglang"]
    assert machine["cores"] == len(os.sched_getaffinity(0))
    assert machine["cpu"]
    assert machine["torch"].startswith("2.")


def test_the_markdown_table_has_one_line_a_row(tmp_path):
    lines = write_report(REPORT, tmp_path).with_suffix(".md").read_text().splitlines()
    assert lines[2:5] == ["| policy | rate | answer |", "| --- | --- | --- |", r"| full | 12.3 | a \| b c |"]
    assert "Cold start." in lines


def test_a_report_without_rows_is_still_written(tmp_path):
    file = write_report(Report("empty", {}, []), tmp_path)
    assert json.loads(file.read_text())["rows"] == []
    assert file.with_suffix(".md").read_text().startswith("# empty")
