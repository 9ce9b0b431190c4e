"""Whether the packages of this Python are those that were tested together."""

from collections.abc import Iterator
from pathlib import Path

from services.cli.doctor.finding import Finding, Subject, ok, skipped, wrong
from services.shared.packages import installed_version

# in a checkout; an image has no such folder, and was built from it
PINS = Path(__file__).parents[3] / "requirements" / "service.in"
REMEDY = "make install"


def pins(subject: Subject) -> Iterator[Finding]:
    """Those of router, scorer and command line; the engine checks its own."""
    yield compared(PINS)


def compared(file: Path) -> Finding:
    """What is installed against a file of requirements."""
    if not file.is_file():
        return skipped("pins", "no checkout here to compare with")
    wanted = dict(_pinned(file))
    found = {name: installed_version(name) or "missing" for name in wanted}
    others = [f"{name} {found[name]} instead of {pin}" for name, pin in wanted.items() if found[name] != pin]
    if others:
        return wrong("pins", ", ".join(others), REMEDY)
    return ok("pins", f"{len(wanted)} packages as pinned")


def _pinned(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_text().splitlines():
        name, mark, pin = line.partition("==")
        if mark and not line.startswith("#"):
            yield name.strip(), pin.strip()
