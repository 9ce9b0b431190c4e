"""Which adapter a runtime serves with, and the sentence when it is none."""

import pytest

from scorer.adapters.manifest import WEIGHTS_FILE
from services.runtime import adapters
from services.runtime.adapters import AdapterInfo, choose_adapter
from services.runtime.backends.base import ModelInfo
from tests.unit.scorer.adapters.conftest import MODEL_CONFIG, Published, folder, published

__all__ = ["Published", "folder", "published"]  # fixtures of the adapters' own tests


def model_info(**fields):
    return ModelInfo("tiny", "f1", 1000, 50, 3, 2, 4, 96, **fields)


def test_adapter_that_fits_is_chosen_and_described(folder, published):
    choice = choose_adapter(str(folder), MODEL_CONFIG)
    assert (choice.folder, choice.problem) == (folder, "")
    assert choice.info == AdapterInfo("tiny", 1, published.manifest.files.weights.sha256, 4)


def test_empty_path_means_the_shipped_one(folder, monkeypatch):
    monkeypatch.setattr(adapters, "find_shipped", lambda fingerprint: folder)
    assert choose_adapter("", MODEL_CONFIG).folder == folder


def test_without_a_shipped_one_the_sentence_names_the_model_and_the_setting():
    choice = choose_adapter("", MODEL_CONFIG)
    assert (choice.folder, choice.info) == (None, None)
    assert "none is shipped for a model with fingerprint" in choice.problem
    assert "RUNTIME_ADAPTER_PATH" in choice.problem


def test_adapter_of_another_model_is_refused_by_field_and_value(folder):
    choice = choose_adapter(str(folder), MODEL_CONFIG | {"num_key_value_heads": 4})
    assert (choice.folder, choice.info) == (None, None)
    assert "num_key_value_heads: 4, the adapter needs 2" in choice.problem
    assert "name a folder with an adapter for this model" in choice.problem


@pytest.mark.parametrize("damage", [b"", b"x" * 100])
def test_damaged_adapter_is_refused_by_file(folder, damage):
    (folder / WEIGHTS_FILE).write_bytes(damage)
    assert WEIGHTS_FILE in choose_adapter(str(folder), MODEL_CONFIG).problem


def test_path_that_is_not_there_is_a_sentence_too(tmp_path):
    assert "manifest.json: cannot be read" in choose_adapter(str(tmp_path / "gone"), MODEL_CONFIG).problem


def test_policies_that_need_an_adapter_are_listed_with_one_only():
    adapter = AdapterInfo("tiny", 1, "0" * 64, 32)
    assert model_info().policies == ("full", "streaming", "window")
    assert model_info(adapter=adapter).policies == ("full", "streaming", "window", "lookahead", "fused")


@pytest.mark.parametrize(("prompt_tokens", "sentence"), [(968, ""), (969, "exceed the context of 1000")])
def test_lookahead_rows_need_positions_behind_the_prompt(prompt_tokens, sentence):
    objection = model_info(adapter=AdapterInfo("tiny", 1, "0" * 64, 32)).lookahead_objection(prompt_tokens)
    assert sentence in objection and bool(objection) == bool(sentence)
