"""A run that was stopped and went on ends with the bits of one that was not."""

import pytest
import torch

from scorer.adapters.config import AdapterConfig, FusionConfig
from scorer.training.checkpoint import BadCheckpoint, load_checkpoint, save_checkpoint
from scorer.training.loop import TrainingState, new_adapter, train
from scorer.training.prepared import prepare
from scorer.training.settings import TrainingSettings
from tests.unit.scorer.training.conftest import random_prompts, recipe

FUSION = FusionConfig(window_tokens=8, sink_tokens=2, recent_tokens=4)
CONFIG = AdapterConfig(lookahead_tokens=4, rank=2, alpha=4, fusion=FUSION)
SETTINGS = TrainingSettings(steps=9, batch_samples=2, learning_rate=1e-2, sink_tokens=2, recent_tokens=4)
IDENTITY = {"settings": SETTINGS.model_dump(), "data": "abc"}


@pytest.fixture(scope="module")
def samples(llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    # the second run must not depend on which prompts were kept
    return prepare(llama.model, random_prompts((20, 26, 33), 7), folder, recipe(cache_bytes=20_000))


def start(llama):
    return new_adapter(llama.model, CONFIG, SETTINGS.seed)


@pytest.fixture(scope="module")
def stopped(llama, samples):
    """At step 4."""
    state = TrainingState.of(start(llama))
    steps = train(llama.model, samples, state, SETTINGS)
    for _ in range(4):
        next(steps)
    return state


@pytest.fixture
def file(stopped, tmp_path):
    save_checkpoint(tmp_path / "run" / "checkpoint.pt", stopped, IDENTITY)
    return tmp_path / "run" / "checkpoint.pt"


def test_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(llama, samples, file):
    whole = TrainingState.of(start(llama))
    list(train(llama.model, samples, whole, SETTINGS))
    resumed = load_checkpoint(file, start(llama), IDENTITY)
    assert resumed.step == 4
    list(train(llama.model, samples, resumed, SETTINGS))
    assert resumed.metrics == whole.metrics
    for name, tensor in whole.adapter.tensors().items():
        assert torch.equal(tensor, resumed.adapter.tensors()[name]), name
    assert torch.equal(whole.fit.explained, resumed.fit.explained)


def test_loaded_tensors_are_those_that_the_optimiser_moves(llama, file):
    state = load_checkpoint(file, start(llama), IDENTITY)
    moved = [id(tensor) for group in state.optimiser.param_groups for tensor in group["params"]]
    assert moved == [id(tensor) for tensor in state.adapter.trained().values()]
    assert all(tensor.requires_grad for tensor in state.adapter.trained().values())


def test_writing_leaves_nothing_half_made(file):
    assert [each.name for each in file.parent.iterdir()] == ["checkpoint.pt"]


def test_failed_writing_keeps_the_old_file(stopped, file, monkeypatch):
    before = file.read_bytes()

    def fill_the_disk(content, handle):
        handle.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", fill_the_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(file, stopped, IDENTITY)
    assert file.read_bytes() == before
    assert [each.name for each in file.parent.iterdir()] == ["checkpoint.pt"]


def test_another_run_is_refused_by_field(llama, file):
    with pytest.raises(BadCheckpoint, match=r"of another run; data: 'xyz', saved with 'abc'"):
        load_checkpoint(file, start(llama), IDENTITY | {"data": "xyz"})


def test_damaged_file_is_refused(llama, file):
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(BadCheckpoint, match="damaged or is no checkpoint"):
        load_checkpoint(file, start(llama), IDENTITY)


def test_file_of_another_kind_is_refused(llama, file):
    torch.save({"format": 0}, file)
    with pytest.raises(BadCheckpoint, match="not a checkpoint of format 2"):
        load_checkpoint(file, start(llama), IDENTITY)


def test_missing_file_is_named(llama, tmp_path):
    with pytest.raises(BadCheckpoint, match=r"none\.pt: cannot be read: No such file"):
        load_checkpoint(tmp_path / "none.pt", start(llama), IDENTITY)
