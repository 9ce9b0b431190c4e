"""manifest.json: what is written down, and when a model is another one."""

import json

import pytest

from scorer.adapters.errors import AdapterInvalid, AdapterMismatch
from scorer.adapters.fingerprint import FINGERPRINT_FIELDS, model_fingerprint
from scorer.adapters.manifest import Manifest
from tests.unit.scorer.adapters.conftest import MODEL_CONFIG


def changed(manifest, **changes):
    return json.dumps(json.loads(manifest.to_json()) | changes).encode()


def test_manifest_is_read_back(published):
    assert Manifest.from_json(published.manifest.to_json()) == published.manifest


def test_manifest_carries_the_fingerprint_and_what_it_is_made_of(published):
    assert published.manifest.model_fingerprint == model_fingerprint(MODEL_CONFIG)
    assert set(published.manifest.model_config_fields) == set(FINGERPRINT_FIELDS)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"signature": "x"}, "signature: Extra"),
        ({"schema_version": 2}, "schema_version: "),
        ({"adapter": "../tiny"}, "adapter: "),
        ({"model": "us/{tiny}"}, "model: "),
        ({"version": 0}, "version: "),
        ({"dtype": "int8"}, "dtype: "),
        ({"files": {}}, "files.adapter_config.json: Field required"),
        ({"scores": {"kl": float("nan")}}, "scores.kl: "),
        ({"model_fingerprint": "0" * 32}, "file: .*model_fingerprint: is not that of model_config_fields"),
    ],
    ids=str,
)
def test_wrong_field_is_refused_by_name(published, changes, named):
    with pytest.raises(AdapterInvalid, match=f"^manifest.json: {named}"):
        Manifest.from_json(changed(published.manifest, **changes))


def test_only_the_two_files_can_be_listed(published):
    files = json.loads(published.manifest.to_json())["files"]
    files["../adapter_model.bin"] = files["adapter_config.json"]
    with pytest.raises(AdapterInvalid, match=r"files\.\.\./adapter_model\.bin: Extra"):
        Manifest.from_json(changed(published.manifest, files=files))


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden_size", 32), ("rope_theta", 500000.0), ("rope_theta", 10000), ("rope_scaling", {"factor": 8.0})],
    ids=str,
)
def test_other_model_is_refused_with_the_differing_field(published, field, value):
    expected = f"us/tiny, not for this model; {field}: .*, the adapter needs "
    with pytest.raises(AdapterMismatch, match=expected) as refused:
        published.manifest.check_model(MODEL_CONFIG | {field: value})
    assert not any(f"{other}: " in str(refused.value) for other in FINGERPRINT_FIELDS if other != field)


def test_fields_that_no_weight_depends_on_may_differ(published):
    published.manifest.check_model(MODEL_CONFIG | {"torch_dtype": "float16", "max_position_embeddings": 1})
