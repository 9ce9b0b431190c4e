"""Adapters change in a real engine while it serves: each report names what scored, and that one's sets were kept."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from protos.runtime.v1 import runtime_pb2
from scorer.adapters.folder import read_files
from scorer.adapters.publishing import publish
from scorer.adapters.store_values import AdapterId
from scorer.cli.actions import point
from tests.engine.adapters import random_adapter, weights_of
from tests.engine.client import Answer, finish, generate_together, keeps, request
from tests.engine.conftest import Runtime, running
from tests.engine.reference import Eviction, Reference
from tests.engine.test_scoring_pass import jobs, make_request, make_scheduler, plugin
from tests.integration.stores import store_at
from tests.processes import ROOT, ServerProcess, poll
from tests.redis_servers import RedisServer, server_program

__all__ = ["plugin"]  # a fixture

SWAP = AdapterId("tiny", "swap")
LOOKAHEAD = Eviction("lookahead", 64)
CONVERGE_SECONDS = 20.0


@dataclass
class Swapping:
    """A runtime that follows a registry with two versions of one adapter."""

    runtime: Runtime
    url: str

    def move(self, number: int, alias: str = "default") -> None:
        async def moved() -> None:
            async with store_at(self.url) as store:
                await point(store, SWAP, alias, number)

        asyncio.run(moved())

    def ask(self, ids: list[int], adapter: str = "") -> Answer:
        return finish(self.runtime, self.runtime.generation.Generate(asked(ids, adapter)))

    def wait_for(self, ids: list[int], number: int, adapter: str = "") -> None:
        """Returns when an answer was scored by this version."""
        poll(lambda: scored_by(self.ask(ids, adapter), number), CONVERGE_SECONDS)


def asked(ids: list[int], adapter: str = ""):
    wanted = request(ids, 2, LOOKAHEAD)
    wanted.directive.adapter = adapter
    return wanted


@pytest.fixture(scope="module")
def folders(model_path, adapter_folder, tmp_path_factory) -> dict[int, Path]:
    return {1: adapter_folder, 2: random_adapter(model_path, tmp_path_factory.mktemp("swap") / "random")}


@pytest.fixture(scope="module")
def prompts(text_ids) -> list[list[int]]:
    return [text_ids[150 * number : 150 * number + 140 + 6 * number] for number in range(6)]


@pytest.fixture(scope="module")
def expected(model_path, folders, prompts) -> dict[int, list[torch.Tensor]]:
    """The sets that the offline pass keeps, by version."""
    references = {number: Reference(model_path, weights_of(folder, model_path)) for number, folder in folders.items()}
    return {
        number: [reference.kept_sets(ids, [LOOKAHEAD])[0] for ids in prompts]
        for number, reference in references.items()
    }


@pytest.fixture(scope="module")
def swapping(model_path, folders, tmp_path_factory) -> Iterator[Swapping]:
    server = RedisServer(server_program("valkey"), tmp_path_factory.mktemp("valkey"))
    config = {"SCORER_PORT": "0", "SCORER_METRICS_PORT": "0"}
    config |= {"SCORER_CONFIG_PATH": str(ROOT / "scorer" / "scoring.yaml")}
    scorer = ServerProcess("scorer.main", config | {"SCORER_REDIS_URL": server.url})
    try:
        asyncio.run(publish_all(server.url, folders))
        variables = {"RUNTIME_SCORER_TARGET": scorer.target}
        with running(model_path, tmp_path_factory.mktemp("trace"), {}, variables) as runtime:
            yield Swapping(runtime.wait_ready(), server.url)
    finally:
        scorer.kill()
        server.kill()


async def publish_all(url: str, folders: dict[int, Path]) -> None:
    async with store_at(url) as store:
        for number, folder in folders.items():
            manifest, contents = read_files(folder)
            changed = {"adapter": SWAP.name, "model": SWAP.model, "version": number}
            await publish(store, manifest.model_copy(update=changed), contents)


def scored_by(answer: Answer, number: int) -> bool:
    kv = answer.complete.kv
    return (kv.adapter, kv.adapter_version) == (SWAP.name, number)


def test_alias_that_moves_under_load_keeps_the_sets_of_the_version_that_each_report_names(swapping, prompts, expected):
    swapping.wait_for(prompts[0], 1)
    answers: list[tuple[int, Answer]] = []
    ended = threading.Event()

    def load(first: int) -> None:
        index = first
        while not ended.is_set():
            answers.append((index, swapping.ask(prompts[index])))
            index = (index + 1) % len(prompts)

    threads = [threading.Thread(target=load, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in (2, 1, 2):
            swapping.move(number)
            swapping.wait_for(prompts[0], number)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    versions = {answer.complete.kv.adapter_version for _, answer in answers}
    assert versions == {1, 2}
    assert {answer.complete.kv.adapter for _, answer in answers} == {SWAP.name}
    for index, answer in answers:
        assert keeps(answer, expected[answer.complete.kv.adapter_version][index])


def test_two_aliases_share_a_batch_and_each_keeps_the_sets_of_its_own(swapping, prompts, expected):
    swapping.move(1)
    swapping.move(2, "canary")
    swapping.wait_for(prompts[0], 2, "canary")
    swapping.wait_for(prompts[0], 1)
    aliases = ["default", "canary", "swap/default", "swap/canary", "", "canary"]
    answers = generate_together(
        swapping.runtime, [asked(ids, alias) for ids, alias in zip(prompts, aliases, strict=True)]
    )
    info = swapping.runtime.runtime.GetModelInfo(runtime_pb2.GetModelInfoRequest())
    for index, (answer, number) in enumerate(zip(answers, (1, 2, 1, 2, 1, 2), strict=True)):
        assert scored_by(answer, number)
        assert keeps(answer, expected[number][index])
    assert len(info.loaded_adapters) == 2


def test_adapter_that_is_gone_leaves_window_and_the_report_says_so(plugin):
    req = make_request("lookahead")
    req._lookaheadkv.plan = plugin.prefills.replace(req._lookaheadkv.plan, adapter="models/tiny/adapters/a/versions/1")
    (job,) = jobs(plugin, make_scheduler(plugin), req)
    assert (job.policy.rows.lookahead, job.adapter, job.state.plan.policy) == (False, None, "window")
    assert "versions/1 is not loaded any more" in job.state.replaced


def test_jobs_share_a_pass_by_adapter_and_those_without_one_go_with_the_first(plugin):
    one, two = object(), object()
    made = [SimpleNamespace(at=at, adapter=adapter) for at, adapter in enumerate((None, one, two, None, one))]
    groups = [[job.at for job in group] for group in plugin.prefills.by_adapter(made)]
    assert groups == [[0, 1, 3, 4], [2]]
    assert [len(group) for group in plugin.prefills.by_adapter(made[:1])] == [1]


@pytest.fixture
def load_wanted(plugin):
    from services.runtime.backends.sglang.adapter_loader import load_wanted

    return load_wanted


def test_adapters_are_loaded_beside_others_and_those_not_wanted_go(plugin, load_wanted, tiny_model, tmp_path):
    scheduler, folder = make_scheduler(plugin, tiny_model), str(random_adapter(tiny_model, tmp_path / "adapter"))
    first = load_wanted(scheduler, {"a/1": folder})
    taken = plugin.adapter.adapters_of(scheduler).held
    both = load_wanted(scheduler, {"a/1": folder, "a/2": folder})
    last = load_wanted(scheduler, {"a/2": folder})
    assert [sorted(loaded.held) for loaded in (first, both, last)] == [["a/1"], ["a/1", "a/2"], ["a/2"]]
    # what a step has taken does not change under it
    assert list(taken) == ["a/1"]
    assert plugin.adapter.adapters_of(scheduler).find("a/2").name == "random"
    assert plugin.adapter.adapters_of(scheduler).find("a/1") is None


def test_adapter_that_cannot_be_loaded_drops_nothing_and_says_why(plugin, load_wanted, tiny_model, tmp_path):
    scheduler, folder = make_scheduler(plugin, tiny_model), random_adapter(tiny_model, tmp_path / "adapter")
    load_wanted(scheduler, {"a/1": str(folder)})
    poisoned = random_adapter(tiny_model, tmp_path / "poisoned", "lookahead_embeddings")
    loaded = load_wanted(scheduler, {"a/2": str(poisoned), "a/3": str(tmp_path / "gone"), "a/4": str(folder)})
    assert loaded.held == {"a/1", "a/4"}
    assert "holds values that are not finite" in loaded.problems["a/2"]
    assert "manifest.json: cannot be read" in loaded.problems["a/3"]
