"""What a page of docs/ asks its readers to type, and where it sends them."""

import re
from pathlib import Path
from textwrap import dedent

from tests.processes import ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def blocks(page: str, kind: str) -> list[str]:
    """What stands in fences of this kind, as in ```sh."""
    found = re.findall(rf"^( *)```{re.escape(kind)}\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
    return [dedent(text) for _, text in found]


def commands(page: str) -> list[str]:
    """Each line of its shell."""
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line]


def broken_links(page: str, folder: Path) -> list[str]:
    """Those whose file or heading is not there."""
    return [f"{file}#{anchor}" for file, anchor in LINK.findall(page) if not _leads(page, folder, file, anchor)]


def _leads(page: str, folder: Path, file: str, anchor: str) -> bool:
    target = folder / file
    if file and not target.exists():
        return False
    headings = re.findall(r"^#+ (.+)$", target.read_text() if file else page, re.MULTILINE) if anchor else []
    return not anchor or anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
