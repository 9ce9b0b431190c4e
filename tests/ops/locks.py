"""What requirements/ says, and what packages ask for."""

import re
from collections.abc import Iterable
from importlib.metadata import requires
from tomllib import loads

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.processes import ROOT

PROJECT = loads((ROOT / "pyproject.toml").read_text())["project"]


def lines(file: str) -> list[str]:
    """Those of a requirements file that name a package."""
    return [line for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]


def names(file: str) -> set[str]:
    return {named(line) for line in lines(file)}


def named(line: str) -> str:
    """The name of a package, as all spellings of it become."""
    return canonicalize_name(re.split(r"[=<>! \[]", line)[0])


def closure(roots: Iterable[str]) -> set[str]:
    """These packages, and all that they ask for here."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(root) for root in roots]
    while waiting:
        one = waiting.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key not in found:
            found.add(key)
            waiting += asked_by(one.name, one.extras)
    return {name for name, _ in found}


def asked_by(name: str, extras: Iterable[str] = ()) -> list[Requirement]:
    """What an installed package asks for on this machine."""
    asked = (Requirement(line) for line in requires(name) or ())
    chosen = ("", *extras)
    return [one for one in asked if one.marker is None or any(one.marker.evaluate({"extra": e}) for e in chosen)]
