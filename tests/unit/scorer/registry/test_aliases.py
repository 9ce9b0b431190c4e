"""A request names an alias of the main adapter by itself, and one of any adapter with its name before it."""

import pytest

from scorer.adapters.store_values import AdapterId, Alias, Aliases, VersionId, VersionInfo
from scorer.adapters.watching import AdapterState
from scorer.registry.aliases import Target, alias_targets

NEWS, CODE = AdapterId("tiny", "news"), AdapterId("tiny", "code")


def state(adapter: AdapterId, created_ms: int, **aliases: int) -> AdapterState:
    versions = tuple(VersionInfo(number, "f", 10, created_ms + number) for number in (1, 2))
    named = {name: Alias(name, version, 1) for name, version in aliases.items()}
    return AdapterState(adapter, versions, Aliases(named, 1))


STATES = (state(NEWS, 100, default=1), state(CODE, 0, default=2, canary=1))


@pytest.mark.parametrize(("main", "default"), [("", 2), ("code", 2), ("news", 1), ("tiny/news", 1)])
def test_main_adapter_is_the_named_one_else_the_first_that_was_published(main, default):
    targets = alias_targets(STATES, main)
    assert targets["default"].version.number == default
    assert targets["news/default"] == Target(VersionId(NEWS, 1), 0.0)
    assert targets["code/canary"] == Target(VersionId(CODE, 1), 0.0)
    assert ("canary" in targets) == (main not in ("news", "tiny/news"))


def test_main_adapter_that_is_not_there_leaves_only_full_names():
    assert set(alias_targets(STATES, "other")) == {"news/default", "code/default", "code/canary"}


def test_alias_of_a_version_for_another_model_is_known_as_such():
    targets = alias_targets([state(NEWS, 0, default=3, canary=1)], "")
    assert {name: target.for_model for name, target in targets.items()} == {
        "default": False,
        "canary": True,
        "news/default": False,
        "news/canary": True,
    }
