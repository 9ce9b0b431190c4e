"""Real text, found at run time in what this machine has installed; nothing of it lies in this repository.

The default sources are the same wherever Python and the packages of requirements/cpu.txt are: they give the same bytes.
"""

import ast
import gzip
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from random import Random

from scorer.training.data import texts
from scorer.training.data.clean import blocks, prose
from scorer.training.data.families.base import Passage
from scorer.training.data.sample import Split

DEBIAN_DOC = Path("/usr/share/doc")
LEAST_PARAGRAPHS = 2
Loader = Callable[[], Iterable[tuple[str, tuple[str, ...]]]]


class NoText(Exception):
    """A source has no text at all on this machine. The message says where it comes from."""


@dataclass(frozen=True)
class TextSource:
    """The documents of one source, and what of it this machine lacks."""

    source: str
    documents: tuple[Passage, ...]
    missing: tuple[str, ...] = ()

    def passages(self, rng: Random) -> Iterator[Passage]:
        """Documents without end, in an order drawn by `rng`; each comes once in a round."""
        while True:
            yield from rng.sample(self.documents, len(self.documents))

    def paragraphs(self, rng: Random) -> Iterator[str]:
        """Paragraphs without end, document after document, from a place drawn by `rng`."""
        i = rng.randrange(len(self.documents))
        first = self.documents[i].paragraphs
        yield from first[rng.randrange(len(first)) :]
        while True:
            i = (i + 1) % len(self.documents)
            yield from self.documents[i].paragraphs


def topics() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Chapters of the Python reference that `help()` shows."""
    from pydoc_data.topics import topics as chapters

    for name, text in sorted(chapters.items()):
        yield name, prose(text)


def descriptions(packages: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Long descriptions of installed packages; nothing for one that is not installed."""
    for name in packages:
        try:
            text = metadata(name).json.get("description", "")
        except PackageNotFoundError:
            text = ""
        yield name, prose(str(text))


def module_text(name: str) -> str:
    """The source code of a module of the standard library, empty where there is none."""
    file = Path(sysconfig.get_path("stdlib")) / f"{name}.py"
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def docstrings(modules: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What the docstrings of modules, classes and functions say."""
    for name in modules:
        nodes = ast.walk(ast.parse(module_text(name)))
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        found = (ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds))
        yield name, prose("\n\n".join(found))


def source_code(modules: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Source code as it is."""
    for name in modules:
        yield name, blocks(module_text(name))


def debian_news(folder: Path = DEBIAN_DOC) -> Iterator[tuple[str, tuple[str, ...]]]:
    """NEWS and README files of the Debian packages that happen to be installed."""
    for file in sorted([*folder.glob("*/NEWS.gz"), *folder.glob("*/README.gz"), *folder.glob("*/README")]):
        # one package's folder can be a link to another's
        if file.is_symlink() or file.parent.is_symlink():
            continue
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        yield f"{file.parent.name} {file.stem}", prose(data.decode("utf-8", errors="replace"))


# the split of the texts: a source is in one of them
SOURCES: dict[str, tuple[Split, Loader]] = {
    "python_topics": ("train", topics),
    "train_packages": ("train", lambda: descriptions(texts.TRAIN_PACKAGES)),
    "python_code": ("train", lambda: source_code(texts.TRAIN_MODULES)),
    "debian_docs": ("train", debian_news),
    "held_out_packages": ("held_out", lambda: descriptions(texts.HELD_OUT_PACKAGES)),
    "python_docstrings": ("held_out", lambda: docstrings(texts.HELD_OUT_MODULES)),
}
# what is installed differs from machine to machine, so these have to be asked for
OPTIONAL = frozenset({"debian_docs"})


@cache
def load_source(name: str) -> TextSource:
    """The source of that name in SOURCES. Raises NoText."""
    loaded = list(SOURCES[name][1]())
    documents = tuple(Passage(title, text) for title, text in loaded if len(text) >= LEAST_PARAGRAPHS)
    if not documents:
        raise NoText(
            f"the text source {name} is empty here; it is made of {', '.join(t for t, _ in loaded) or 'files'}"
        )
    return TextSource(name, documents, tuple(title for title, text in loaded if not text))


def source_names(split: Split, optional: bool = False) -> list[str]:
    """The sources of a split; those that differ between machines only when asked for."""
    return [name for name, (of, _) in SOURCES.items() if of == split and (optional or name not in OPTIONAL)]
