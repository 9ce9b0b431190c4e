import pytest

from scorer.adapters.bundle import verify_bundle, verify_numbers
from scorer.adapters.fingerprint import read_config
from scorer.adapters.manifest import WEIGHTS_FILE
from services.soak.versions import Versions


@pytest.fixture
def versions(tiny_model) -> Versions:
    return Versions(tiny_model, seed=0)


@pytest.mark.parametrize("made", [lambda versions: versions.make(3), lambda versions: versions.make_large(3, 1 << 20)])
def test_versions_fit_the_model_and_all_numbers_are_finite(tiny_model, versions, made):
    files = made(versions)
    verify_numbers(verify_bundle(files.manifest, files.contents, read_config(tiny_model)))
    assert (files.manifest.model, files.manifest.adapter, files.manifest.version) == ("tiny", "soak", 3)


def test_no_two_versions_have_the_same_bytes_and_each_is_always_the_same(tiny_model, versions):
    weights = [versions.make(number).contents[WEIGHTS_FILE] for number in range(1, 40)]
    assert len(set(weights)) == len(weights)
    assert Versions(tiny_model, seed=0).make(1).contents[WEIGHTS_FILE] == weights[0]


def test_large_version_has_the_bytes_that_were_asked_for_and_hardly_more(versions):
    size_bytes = versions.make_large(1, 2 << 20).manifest.files.weights.size_bytes
    assert 2 << 20 <= size_bytes < 2.1 * (1 << 20)


def test_version_that_no_rank_makes_large_enough_is_refused(versions):
    with pytest.raises(ValueError, match="--large-mib: 100 is more than"):
        versions.make_large(1, 100 << 20)
