"""The aliases of a model's adapters as requests name them, and what each one stands for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scorer.adapters.store_values import AdapterId, VersionId
from scorer.adapters.watching import AdapterState

# between the name of an adapter and that of its alias, neither of which has one
SEPARATOR = "/"


@dataclass(frozen=True)
class Target:
    """The version of an alias, and its share of the requests for `default`. Is it `for_model`, the one that asks?"""

    version: VersionId
    share: float
    for_model: bool = True


def alias_targets(states: Iterable[AdapterState], main_adapter: str) -> dict[str, Target]:
    """What each alias stands for; those of the main adapter first, without and with its name."""
    ordered = sorted((state for state in states if state.versions), key=_published_first)
    main = next((state for state in ordered if _is(state.adapter, main_adapter)), None)
    named: dict[str, Target] = {}
    if main:
        named |= dict(_targets(main))
    for state in [main, *ordered] if main else ordered:
        for alias, target in _targets(state):
            # two models may have the same config, and adapters of one name
            named.setdefault(f"{state.adapter.name}{SEPARATOR}{alias}", target)
    return named


def _targets(state: AdapterState) -> Iterator[tuple[str, Target]]:
    here = {info.number for info in state.versions}
    for alias in state.aliases.by_name.values():
        yield alias.name, Target(VersionId(state.adapter, alias.version), alias.share, alias.version in here)


def _published_first(state: AdapterState) -> tuple[int, AdapterId]:
    return min(info.created_ms for info in state.versions), state.adapter


def _is(adapter: AdapterId, wanted: str) -> bool:
    return wanted in ("", adapter.name, str(adapter))
