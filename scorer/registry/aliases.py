"""The aliases of a model's adapters as requests name them, and the version that each one stands for."""

from collections.abc import Iterable, Iterator

from scorer.adapters.store_values import AdapterId, VersionId
from scorer.adapters.watching import AdapterState

# between the name of an adapter and that of its alias, neither of which has one
SEPARATOR = "/"


def aliased_versions(states: Iterable[AdapterState], main_adapter: str) -> dict[str, VersionId]:
    """The version of each alias; those of the main adapter first, without and with its name."""
    ordered = sorted((state for state in states if state.versions), key=_published_first)
    main = next((state for state in ordered if _is(state.adapter, main_adapter)), None)
    named: dict[str, VersionId] = {}
    if main:
        named |= {alias: version for alias, version in _versions(main)}
    for state in [main, *ordered] if main else ordered:
        for alias, version in _versions(state):
            # two models may have the same config, and adapters of one name
            named.setdefault(f"{state.adapter.name}{SEPARATOR}{alias}", version)
    return named


def _versions(state: AdapterState) -> Iterator[tuple[str, VersionId]]:
    here = {info.number for info in state.versions}
    for alias in state.aliases.by_name.values():
        if alias.version in here:
            yield alias.name, VersionId(state.adapter, alias.version)


def _published_first(state: AdapterState) -> tuple[int, AdapterId]:
    return min(info.created_ms for info in state.versions), state.adapter


def _is(adapter: AdapterId, wanted: str) -> bool:
    return wanted in ("", adapter.name, str(adapter))
