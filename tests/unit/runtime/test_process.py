"""What the scheduler process tells its parent at the start."""

from services.runtime.backends.sglang.process import (
    START_FILE_VARIABLE,
    StartReport,
    read_start_report,
    write_start_report,
)


def test_start_report_crosses_the_processes(tmp_path, monkeypatch):
    report = StartReport("it holds NaN", {"attend_rows": "AssertionError: differs"})
    monkeypatch.setenv(START_FILE_VARIABLE, str(tmp_path / "report"))
    write_start_report(report)
    assert read_start_report(tmp_path / "report") == report


def test_scheduler_that_nobody_asked_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv(START_FILE_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    write_start_report(StartReport())
    assert not list(tmp_path.iterdir())
