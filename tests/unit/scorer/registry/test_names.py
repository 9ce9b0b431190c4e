"""Resource names go to the wire and back."""

import pytest

from scorer.adapters.store_values import AdapterId, VersionId
from scorer.registry.names import adapter_name, parse_adapter, parse_version, version_name
from services.shared.errors import InvalidArgument


@pytest.mark.parametrize("adapter", [AdapterId("tiny", "news"), AdapterId("us/adapters", "adapters")])
def test_name_comes_back(adapter):
    assert parse_adapter(adapter_name(adapter)) == adapter


def test_version_is_named_below_its_adapter():
    version = parse_version("models/us/tiny/adapters/news", 3)
    assert version == VersionId(AdapterId("us/tiny", "news"), 3)
    assert version_name(version) == "models/us/tiny/adapters/news/versions/3"


@pytest.mark.parametrize("name", ["", "models/a", "models/a/adapters/b/versions/1", "models/{}/adapters/x", "x" * 9999])
def test_malformed_name_is_refused_with_the_form(name):
    with pytest.raises(InvalidArgument, match="name: ") as raised:
        parse_adapter(name)
    assert len(str(raised.value)) < 500


def test_number_counts_from_1():
    with pytest.raises(InvalidArgument, match="version: 0 "):
        parse_version("models/a/adapters/b", 0)
