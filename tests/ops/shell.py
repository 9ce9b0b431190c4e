"""The shell of a reader of docs/, who has our command and helm."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from tests.chart.rendering import HELM
from tests.processes import ROOT


def run(command: str, folder: Path, **variables: str) -> str:
    """What a command prints in this folder; it must not fail."""
    own = f'lookaheadkv() {{ {shlex.quote(sys.executable)} -m services.cli.main "$@"; }}'
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{HELM.parent}:{os.environ['PATH']}"} | variables
    ran = subprocess.run(
        ["bash", "-euc", f"{own}\n{command}"], cwd=folder, env=environment, text=True, capture_output=True, timeout=120
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
    return ran.stdout
