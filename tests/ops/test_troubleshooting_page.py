"""The page about troubles names commands, metrics and settings that there are."""

import re
import subprocess
import sys

from tests.chart.checks import KNOWN
from tests.processes import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
METRICS = (ROOT / "docs" / "observability.md").read_text()
COMMAND = [sys.executable, "-m", "services.cli.main"]


def help_of(*command: str) -> str:
    return subprocess.run([*COMMAND, *command, "--help"], cwd=ROOT, text=True, capture_output=True, check=True).stdout


def test_commands_and_their_options_are_there():
    commands = [line.split()[1:] for line in PAGE.splitlines() if line.startswith("    lookaheadkv ")]
    assert [command[0] for command in commands] == ["doctor", "doctor"]
    text = help_of("doctor")
    assert not [option for command in commands for option in command[1:] if option[:2] == "--" and option not in text]
    assert set(re.findall(r"`lookaheadkv (\w+)", PAGE)) <= set(re.findall(r"│ (\w+) ", help_of()))


def test_metrics_and_settings_are_there():
    named = set(re.findall(r"`(lookaheadkv_\w+)`", PAGE))
    assert named and not [name for name in named if f"`{name}`" not in METRICS]
    settings = set(re.findall(r"`((?:ROUTER|RUNTIME|SCORER)_[A-Z_]+)`", PAGE))
    assert settings and settings <= KNOWN
