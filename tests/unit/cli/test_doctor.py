"""What checks make of what is there."""

import pytest

from services.cli.doctor import machine
from services.cli.doctor.command import _findings
from services.cli.doctor.finding import Finding, State, Subject
from services.cli.doctor.pins import PINS, compared


def test_other_packages_than_the_pinned_ones_are_named(tmp_path):
    assert compared(PINS).state is State.OK
    assert compared(tmp_path / "none").state is State.SKIPPED
    (tmp_path / "pins").write_text("# typer==1\nnumpy\ntyper==0.0.1\nno-such-package==2\n")
    found = compared(tmp_path / "pins")
    assert (found.state, found.remedy) == (State.WRONG, "make install")
    assert "instead of 0.0.1" in found.detail and "no-such-package missing instead of 2" in found.detail


def test_a_check_that_fails_by_itself_is_a_finding_and_the_others_go_on(monkeypatch):
    def broken(subject: Subject) -> list[Finding]:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("services.cli.doctor.command.CHECKS", (broken, machine.python))
    bug, python = _findings(Subject())
    assert (bug.name, bug.state, bug.detail) == ("broken", State.WRONG, "RuntimeError: no such luck")
    assert python.state is State.OK


@pytest.mark.parametrize(
    ("least", "check", "words"),
    [("LEAST_MEMORY", machine.memory, "give this machine"), ("LEAST_DISK", machine.disk, "free at least")],
)
def test_too_little_has_a_remedy(least, check, words, monkeypatch):
    monkeypatch.setattr(machine, least, 1 << 60)
    (first, *_) = check(Subject())
    assert (first.state, words in first.remedy) == (State.WRONG, True)
