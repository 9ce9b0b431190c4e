"""Records of aliases are read as this version writes them, and as earlier ones did."""

import pytest

from scorer.adapters.redis_records import parse_alias
from scorer.adapters.store_values import Alias


@pytest.mark.parametrize(
    ("record", "alias"),
    [
        ("3 7 2 abc 0.05", Alias("canary", 3, 7, 2, 0.05)),
        ("3 7 0 abc ", Alias("canary", 3, 7)),
        ("3 7 0  ", Alias("canary", 3, 7)),
        ("3 7 2 abc", Alias("canary", 3, 7, 2)),
        ("3 7 0 ", Alias("canary", 3, 7)),
    ],
)
def test_share_may_be_missing(record, alias):
    assert parse_alias("canary", record) == alias
