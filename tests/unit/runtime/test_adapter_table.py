"""Each alias is scored by what it stands for, else by the last good one, and the engine holds no more than it may."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.runtime.adapter_table import AdapterAlias, AdapterTable, Chosen, Loaded, LocalAdapter
from services.runtime.adapters import AdapterInfo

START = Chosen(info=AdapterInfo("shipped", 1, "0" * 64, 32))
NONE = Chosen(problem="none is shipped")


def adapter(version: int, size_bytes: int = 10) -> LocalAdapter:
    info = AdapterInfo("news", version, f"{version}" * 64, 32)
    return LocalAdapter(f"news/{version}", Path(str(version)), size_bytes, info)


def aliases(**versions: int) -> dict[str, AdapterAlias]:
    return {name: AdapterAlias(adapter(version)) for name, version in versions.items()}


def table(max_bytes: int = 100, **versions: int) -> AdapterTable:
    """One whose engine holds what it was asked for."""
    made = AdapterTable(max_bytes)
    made.update(aliases(**versions))
    hold(made)
    return made


def hold(target: AdapterTable) -> None:
    target.match(Loaded(frozenset(adapter.id for adapter in target.wanted())))
    target.changed.clear()


def ids(target: AdapterTable) -> list[str]:
    return [adapter.id for adapter in target.wanted()]


def test_without_a_registry_the_adapter_of_the_start_scores_and_other_names_have_none():
    empty = AdapterTable(100)
    assert empty.use("", "key", START) == empty.use("default", "key", START) == replace(START, alias="default")
    assert empty.use("canary", "key", START).problem == "'canary' is no alias of this model's adapters; there are none"
    assert not empty.changed.is_set()


def test_each_alias_has_its_version():
    both = table(default=1, canary=2)
    assert [both.use(name, "key", START).id for name in ("", "default", "canary")] == ["news/1", "news/1", "news/2"]
    assert not both.use("canary", "key", START).note


def test_version_that_is_not_loaded_yet_leaves_the_last_good_one_and_says_so():
    moved = table(default=1)
    moved.update(aliases(default=2, canary=3))
    default, canary = moved.use("", "key", START), moved.use("canary", "key", START)
    assert (default.id, default.note) == ("news/1", "news/1 scored, for news/2 is not loaded yet")
    assert (canary.info, canary.problem) == (None, "news/3 is not loaded yet")
    hold(moved)
    assert moved.use("", "key", START) == Chosen("news/2", adapter(2).info, alias="default")


@pytest.mark.parametrize(("start", "scores"), [(START, True), (NONE, False)])
def test_default_that_was_never_loaded_is_scored_by_the_adapter_of_the_start(start, scores):
    fresh = AdapterTable(100)
    fresh.update(aliases(default=1))
    chosen = fresh.use("", "key", start)
    assert (chosen.info is not None, chosen.id) == (scores, "")
    assert "news/1 is not loaded yet" in (chosen.note or chosen.problem)


def test_refused_version_is_asked_for_again_only_when_the_registry_changes():
    moved = table(default=1)
    moved.update(aliases(default=2))
    moved.match(Loaded(frozenset({"news/1"}), {"news/2": "is damaged"}))
    moved.changed.clear()
    assert moved.use("", "key", START).note == "news/1 scored, for news/2 could not be loaded: is damaged"
    assert ids(moved) == ["news/1"] and not moved.changed.is_set()
    hold(moved)
    assert ids(moved) == ["news/1"]
    moved.update(aliases(default=2, canary=1))
    assert ids(moved) == ["news/2", "news/1"]


def test_problem_of_the_sidecar_is_the_note_of_the_version_that_serves():
    told = AdapterTable(100)
    told.update({"default": AdapterAlias(adapter(1), "version 2 is damaged"), "canary": AdapterAlias(None, "no room")})
    hold(told)
    assert (told.use("", "key", START).id, told.use("", "key", START).note) == ("news/1", "version 2 is damaged")
    assert told.use("canary", "key", START).problem == "alias 'canary': no room"


def test_least_recently_used_are_left_out_and_asked_for_when_they_are_named():
    tight = table(20, a=1, b=2, c=3)
    assert ids(tight) == ["news/1", "news/2"]
    assert tight.use("c", "key", START).problem == "news/3 is not loaded yet"
    assert tight.changed.is_set()
    tight.use("b", "key", START)
    assert ids(tight) == ["news/2", "news/3"]


def test_earlier_version_stays_while_there_is_room():
    moved = table(20, default=1)
    moved.update(aliases(default=2))
    hold(moved)
    assert ids(moved) == ["news/2", "news/1"]
    moved.update(aliases(default=3))
    assert ids(moved) == ["news/3", "news/2"]
    small = table(10, default=1)
    small.update(aliases(default=2))
    assert ids(small) == ["news/2"]


def test_restarted_sidecar_has_the_same_adapters_in_other_folders():
    moved = table(default=1)
    elsewhere = replace(adapter(1), folder=Path("elsewhere"))
    moved.update({"default": AdapterAlias(elsewhere)})
    assert moved.wanted() == (elsewhere,)
    assert moved.use("", "key", START) == Chosen("news/1", adapter(1).info, alias="default")


def test_adapter_that_can_never_fit_names_the_setting_and_is_not_asked_for():
    small = table(5, default=1)
    assert "RUNTIME_ADAPTER_BYTES" in small.use("default", "key", NONE).problem
    assert not small.changed.is_set() and not ids(small)


def test_what_a_waiting_request_was_promised_stays_before_what_was_used_last():
    moved = table(30, default=1, old=2)
    moved.use("old", "key", START)
    with moved.promised("news/1"), moved.promised("news/1"):
        moved.update(aliases(default=3, old=4))
        assert ids(moved) == ["news/3", "news/4", "news/1"]
    moved.update(aliases(default=3, old=4))
    assert ids(moved) == ["news/3", "news/4", "news/2"]


def split_table(**shares: float) -> AdapterTable:
    """`default` is version 1, and the others, which have these shares, count on from 2; all are held."""
    made = AdapterTable(100)
    others = {name: AdapterAlias(adapter(n), share=share) for n, (name, share) in enumerate(shares.items(), start=2)}
    made.update({"default": AdapterAlias(adapter(1)), **others})
    hold(made)
    return made


def test_key_in_the_share_of_another_alias_is_scored_by_that_one_and_the_report_can_say_so():
    shared = split_table(canary=0.25)
    chosen = {key: shared.use("", key, START) for key in map(str, range(400))}
    canary = [key for key, item in chosen.items() if item.alias == "canary"]
    assert 60 < len(canary) < 140
    assert {chosen[key].id for key in canary} == {"news/2"}
    assert {chosen[key].note for key in canary} == {"'canary' has 0.25 of the requests for 'default'"}
    assert {(item.id, item.note) for item in chosen.values() if item.alias == "default"} == {("news/1", "")}
    assert [key for key in chosen if split_table(canary=0.25).use("default", key, START).alias == "canary"] == canary


def test_alias_that_is_named_shares_with_nobody():
    shared = split_table(canary=1.0)
    assert [shared.use(name, "key", START).id for name in ("canary", "default")] == ["news/2", "news/2"]
    assert not shared.use("canary", "key", START).note


def test_share_of_an_alias_that_cannot_score_stays_with_default():
    shared = split_table(canary=1.0)
    shared.match(Loaded(frozenset({"news/1"}), {"news/2": "is damaged"}))
    chosen = shared.use("", "key", START)
    assert (chosen.id, chosen.alias) == ("news/1", "default")
    assert "'canary' has 1 of the requests for 'default', but news/2 could not be loaded: is damaged" in chosen.note


def test_alias_that_a_tenant_may_not_use_scores_none_of_its_requests():
    shared = split_table(canary=0.5, beta=0.5)
    assert {shared.use("", str(key), START, ("default", "beta")).alias for key in range(50)} == {"default", "beta"}
    assert {shared.use("", str(key), START, ("default",)).alias for key in range(50)} == {"default"}
