"""The page about troubles names commands, metrics and settings that there are."""

import re
import subprocess
import sys

from tests.chart.checks import KNOWN
from tests.processes import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
METRICS = (ROOT / "docs" / "observability.md").read_text()
COMMAND = [sys.executable, "-m", "services.cli.main"]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def help_of(*command: str) -> str:
    return subprocess.run([*COMMAND, *command, "--help"], cwd=ROOT, text=True, capture_output=True, check=True).stdout


def test_commands_and_their_options_are_there():
    commands = [line.split()[1:] for line in PAGE.splitlines() if line.startswith("    lookaheadkv ")]
    assert [command[0] for command in commands] == ["doctor", "doctor"]
    text = help_of("doctor")
    assert not [option for command in commands for option in command[1:] if option[:2] == "--" and option not in text]
    assert set(re.findall(r"`lookaheadkv (\w+)", PAGE)) <= set(re.findall(r"│ (\w+) ", help_of()))


def test_the_checks_that_it_explains_are_those_that_there_are():
    explained = {name.split()[0] for cell in re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE) for name in code(cell)}
    sources = "".join(file.read_text() for file in (ROOT / "services" / "cli" / "doctor").glob("*.py"))
    checks = {"pins", "memory", "disk", "shared", "port", "packages", "hooks", "device", "model", "adapter", "redis"}
    assert checks <= explained
    assert not [name for name in checks if f'"{name}' not in sources]


def test_the_commands_run():
    done = subprocess.run([*COMMAND, "doctor", "--json"], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout
    named = ["--model", "FOLDER", "--adapter", "FOLDER", "--redis-url", "redis://HOST.invalid:6379"]
    done = subprocess.run(
        [*COMMAND, "doctor", *named, "--server", "HOST.invalid:50050"], cwd=ROOT, text=True, capture_output=True
    )
    # each of these is away, which is what it says
    assert done.returncode == 1 and done.stdout.count("✗") >= 3, done.stdout


def test_metrics_and_settings_are_there():
    named = set(re.findall(r"`(lookaheadkv_\w+)`", PAGE))
    assert named and not [name for name in named if f"`{name}`" not in METRICS]
    settings = set(re.findall(r"`((?:ROUTER|RUNTIME|SCORER)_[A-Z_]+)`", PAGE))
    assert settings and settings <= KNOWN
