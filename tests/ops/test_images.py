"""The Dockerfiles, as far as they can be judged without building them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from router.settings import RouterSettings
from scorer.settings import ScorerSettings
from services.runtime.settings import RuntimeSettings
from tests.ops.locks import PROJECT
from tests.processes import ROOT

FILES = sorted((ROOT / "images").glob("*.Dockerfile"))
SETTINGS: dict[str, type[BaseSettings]] = {
    "router": RouterSettings,
    "scorer": ScorerSettings,
    "runtime-cpu": RuntimeSettings,
    "runtime-cuda": RuntimeSettings,
}
COMPILERS = re.compile(r"(?<!\S)(gcc|g\+\+|clang|build-essential|make|cmake|git|curl|libc6-dev)(?!\S)")
PINNED = re.compile(r"[\w./-]+:\d+\.\d+\.\d+-[\w-]+")


@dataclass(frozen=True)
class Image:
    """A Dockerfile: its stages, each a list of instructions with their arguments; first what is before them."""

    name: str
    stages: list[list[tuple[str, str]]]

    @property
    def final(self) -> list[tuple[str, str]]:
        return self.stages[-1]

    def arguments(self, instruction: str, final: bool = True) -> list[str]:
        stages = [self.final] if final else self.stages
        return [arguments for stage in stages for name, arguments in stage if name == instruction]

    def variables(self) -> dict[str, str]:
        return dict(re.findall(r"(\w+)=(\S+)", " ".join(self.arguments("ENV"))))


def read(file: Path) -> Image:
    text = "\n".join(line for line in file.read_text().splitlines() if not line.startswith("#"))
    stages: list[list[tuple[str, str]]] = [[]]
    for line in filter(str.strip, text.replace("\\\n", " ").splitlines()):
        instruction, _, arguments = line.partition(" ")
        if instruction == "FROM":
            stages.append([])
        stages[-1].append((instruction, arguments.strip()))
    return Image(file.name.removesuffix(".Dockerfile"), stages)


IMAGES = [read(file) for file in FILES]
each_image = pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)


def test_each_process_has_an_image():
    assert {image.name for image in IMAGES} == SETTINGS.keys()


@each_image
def test_bases_are_arguments_with_a_tag_that_does_not_move(image):
    (default,) = [re.fullmatch(r"(\w+)=(.+)", one) for name, one in image.stages[0] if name == "ARG"]
    assert default and PINNED.fullmatch(default[2])
    assert len(image.stages) == 3
    for base in image.arguments("FROM", final=False):
        assert base.split()[0] == f"${{{default[1]}}}"


@each_image
def test_everything_that_is_copied_is_there_and_gets_to_the_builder(image):
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [one.split()[:-1] for one in image.arguments("COPY", final=False) if "--from" not in one]
    for source in (source for sources in copied for source in sources):
        assert (ROOT / source).exists(), source
        assert any(Path(source).is_relative_to(one) or Path(source).match(one) for one in let_in), source


@each_image
def test_all_of_our_packages_are_copied(image):
    copied = {source for one in image.arguments("COPY", final=False) for source in one.split()}
    assert {"protos", "scorer", "router", "services", "pyproject.toml", PROJECT["readme"]} <= copied


@each_image
def test_none_runs_as_root(image):
    user = image.arguments("USER")[-1]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    after = image.final[[name for name, _ in image.final].index("USER") :]
    assert {name for name, _ in after} <= {"USER", "EXPOSE", "ENTRYPOINT"}


@each_image
def test_nothing_that_builds_stays(image):
    run = " ".join(image.arguments("RUN"))
    assert "pip uninstall" in run
    assert "pip install" not in run
    # what Triton and FlashInfer compile for the GPU that they find
    assert set(COMPILERS.findall(run)) == ({"gcc", "g++", "libc6-dev"} if image.name == "runtime-cuda" else set())


@each_image
def test_each_installs_the_lock_of_its_own_set(image):
    locks = re.findall(r"-r requirements/(\S+)", " ".join(image.arguments("RUN", final=False)))
    filtered = re.findall(r"grep .* requirements/(\S+) >", " ".join(image.arguments("RUN", final=False)))
    wanted = {"runtime-cpu": "cpu.txt", "runtime-cuda": "cuda.txt"}.get(image.name, "service.txt")
    assert locks + filtered == [wanted]


@each_image
def test_what_is_set_is_a_setting_and_the_ports_are_the_processes_own(image):
    settings = SETTINGS[image.name]
    prefix, fields = settings.model_config["env_prefix"], settings.model_fields
    ours = {name for name in image.variables() if name.startswith(("ROUTER_", "SCORER_", "RUNTIME_"))}
    assert {f"{prefix}HOST", f"{prefix}REFLECTION"} <= ours
    assert ours <= {f"{prefix}{name}".upper() for name in fields}
    assert image.arguments("EXPOSE") == [f"{fields['port'].default} {fields['metrics_port'].default}"]


@each_image
def test_each_starts_its_process(image):
    command = json.loads(image.arguments("ENTRYPOINT")[0])
    module = ROOT / f"{command[-1].replace('.', '/')}.py"
    assert command[-3:-1] == ["python", "-m"]
    assert 'if __name__ == "__main__":' in module.read_text()
    assert image.variables()["PYTHONSAFEPATH"] == "1"
