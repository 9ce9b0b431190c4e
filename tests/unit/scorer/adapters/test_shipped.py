"""Shipped adapters are found by the model, and every one of them can be used."""

import json
import shutil

import pytest

from scorer.adapters.errors import AdapterInvalid
from scorer.adapters.fingerprint import model_fingerprint
from scorer.adapters.folder import read_folder
from scorer.adapters.manifest import MANIFEST_FILE
from scorer.adapters.shipped import FOLDER, find_shipped
from scorer.adapters.weights import load_weights
from scorer.config_file import read_config_file
from tests.unit.scorer.adapters.conftest import MODEL_CONFIG

MAX_FOLDER_BYTES = 12 << 20
SHIPPED = [file.parent for file in FOLDER.glob(f"*/{MANIFEST_FILE}")]


@pytest.fixture
def shipped(tmp_path, folder):
    """A folder of adapters with one in it, beside a file that is none."""
    shutil.copytree(folder, tmp_path / "shipped" / "Tiny-1B")
    (tmp_path / "shipped" / "__init__.py").touch()
    return tmp_path / "shipped"


def test_adapter_is_found_by_the_fingerprint_of_its_model(shipped):
    assert find_shipped(model_fingerprint(MODEL_CONFIG), shipped) == shipped / "Tiny-1B"


def test_another_model_has_none(shipped):
    assert find_shipped(model_fingerprint(MODEL_CONFIG | {"vocab_size": 51}), shipped) is None


def test_broken_manifest_is_not_passed_over(shipped):
    (shipped / "Tiny-1B" / MANIFEST_FILE).write_text(json.dumps({"adapter": "tiny"}))
    with pytest.raises(AdapterInvalid, match="manifest"):
        find_shipped(model_fingerprint(MODEL_CONFIG), shipped)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_shipped_adapter_is_whole_and_small(folder):
    manifest = json.loads((folder / MANIFEST_FILE).read_text())
    load_weights(read_folder(folder, manifest["model_config_fields"]))
    assert sum(file.stat().st_size for file in folder.iterdir()) < MAX_FOLDER_BYTES


def test_no_two_adapters_are_shipped_for_one_model():
    fingerprints = [json.loads((folder / MANIFEST_FILE).read_text())["model_fingerprint"] for folder in SHIPPED]
    assert len(fingerprints) == len(set(fingerprints))


def test_models_with_a_shipped_adapter_are_scored_by_it_unless_an_operator_says_otherwise():
    config = read_config_file(FOLDER.parents[1] / "scoring.yaml")
    fingerprints = [json.loads((folder / MANIFEST_FILE).read_text())["model_fingerprint"] for folder in SHIPPED]
    assert {name: config.for_model(name).policy for name in fingerprints} == dict.fromkeys(config.models, "fused")
