"""There are never more labels than allowed, whoever comes and goes."""

from hypothesis import given
from hypothesis import strategies as st

from router.metrics.tenants import IDLE_SECONDS, OTHER, UNKNOWN, ByTenant


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Counts:
    """What was counted by label, as long as it was not dropped."""

    def __init__(self, most: int) -> None:
        self.clock = Clock()
        self.by_label: dict[str, list[str]] = {}
        self.tenants = ByTenant(most, self._make, self.by_label.__delitem__, self.clock)

    def _make(self, label: str) -> list[str]:
        return self.by_label.setdefault(label, [])

    def add(self, *tenants: str) -> None:
        for tenant in tenants:
            self.tenants.of(tenant).append(tenant)


def test_the_first_tenants_have_their_own_label_and_the_others_share_one():
    counts = Counts(2)
    counts.add("a", "b", "c", "a", "d")
    assert counts.by_label == {"a": ["a", "a"], "b": ["b"], OTHER: ["c", "d"]}
    assert [counts.tenants.label(tenant) for tenant in ("a", "c", "")] == ["a", OTHER, UNKNOWN]


def test_a_caller_that_nobody_knows_takes_no_tenant_s_place():
    counts = Counts(1)
    counts.add("", "a")
    assert counts.by_label == {UNKNOWN: [""], "a": ["a"]}


def test_who_was_silent_longest_makes_room_after_an_hour_and_counts_anew_on_its_return():
    counts = Counts(2)
    counts.add("a", "b")
    counts.clock.now += IDLE_SECONDS / 2
    counts.add("a")
    counts.clock.now += IDLE_SECONDS / 2
    counts.add("c", "d")
    assert counts.by_label == {"a": ["a", "a"], "c": ["c"], OTHER: ["d"]}
    counts.clock.now += IDLE_SECONDS
    counts.add("b")
    assert counts.by_label == {"c": ["c"], "b": ["b"], OTHER: ["d"]}


def test_nobody_has_a_label_where_none_is_allowed():
    counts = Counts(0)
    counts.add("a", "b")
    assert counts.by_label == {OTHER: ["a", "b"]}


@given(st.integers(0, 5), st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from([0.0, IDLE_SECONDS]))))
def test_labels_stay_within_the_cap(most, visits):
    counts = Counts(most)
    for tenant, pause in visits:
        counts.clock.now += pause
        counts.add(tenant)
        assert len(counts.by_label.keys() - {OTHER}) <= most
