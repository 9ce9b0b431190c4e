"""Which adapter scores a request: what its alias stands for, what the engine holds of that, and what else would do."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from services.runtime.adapter_split import DEFAULT_ALIAS, pick, shares_of
from services.runtime.adapters import AdapterInfo


@dataclass(frozen=True)
class LocalAdapter:
    """A checked adapter in a folder. `id` is its resource name; `size_bytes` that of its weights."""

    id: str
    folder: Path
    size_bytes: int
    info: AdapterInfo


@dataclass(frozen=True)
class AdapterAlias:
    """What the registry has for an alias. With a `problem`, `adapter` is an earlier version, or None.

    `share` of the requests for `default` go to this alias instead.
    """

    adapter: LocalAdapter | None
    problem: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class Loaded:
    """What an engine holds, by id, and why it does not hold others that it was asked for."""

    held: frozenset[str] = frozenset()
    problems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chosen:
    """What scores a request. An empty `id` is the adapter that the engine started with.

    `problem` says why there is none, `note` why it is not the one that was asked for. `alias` is where it was found.
    """

    id: str = ""
    info: AdapterInfo | None = None
    problem: str = ""
    note: str = ""
    alias: str = ""


class AdapterTable:
    """Aliases as the registry has them, and adapters as the engine does. `changed` is set when they have to be matched.

    At most `max_bytes` of weights are asked for: what aliases stand for, then what requests in flight were promised,
    then what was used last.
    """

    def __init__(self, max_bytes: int) -> None:
        self.aliases: Mapping[str, AdapterAlias] = {}
        self.loaded = Loaded()
        self.changed = asyncio.Event()
        self._max_bytes = max_bytes
        self._last_good: dict[str, LocalAdapter] = {}
        self._held: list[LocalAdapter] = []
        self._used: dict[str, int] = {}
        self._promised: Counter[str] = Counter()
        self._clock = count(1)

    @property
    def held(self) -> Sequence[LocalAdapter]:
        """What the engine holds, beside the adapter that it started with."""
        return self._held

    def update(self, aliases: Mapping[str, AdapterAlias]) -> None:
        """What the registry has from now on."""
        self.aliases = dict(aliases)
        # what failed may work now
        self.loaded = Loaded(self.loaded.held)
        self._last_good = {name: adapter for name, adapter in self._last_good.items() if name in aliases}
        self.changed.set()

    def match(self, loaded: Loaded) -> None:
        """What the engine holds from now on. What it refused is not asked for again before the next `update`."""
        self.loaded = Loaded(loaded.held, {**self.loaded.problems, **loaded.problems})
        for name, alias in self.aliases.items():
            if alias.adapter and alias.adapter.id in loaded.held:
                self._last_good[name] = alias.adapter
        self._held = [adapter for adapter in self._known() if adapter.id in loaded.held]
        known = {adapter.id for adapter in self._known()}
        self._used = {id: at for id, at in self._used.items() if id in known}

    def wanted(self) -> tuple[LocalAdapter, ...]:
        """What the engine is to hold: what aliases stand for before what they stood for, last used before others."""
        ordered = sorted(self._known(), key=self._rank)
        chosen: list[LocalAdapter] = []
        for adapter in ordered:
            if adapter.id not in self.loaded.problems and _bytes(chosen) + adapter.size_bytes <= self._max_bytes:
                chosen.append(adapter)
        return tuple(chosen)

    def use(self, name: str, key: str, start: Chosen, allowed: Collection[str] = ()) -> Chosen:
        """Choose for a request with this key that names this alias, which may share its requests with those `allowed`.

        Empty allows all. What is not held, but could be, is asked for.
        """
        name = name or DEFAULT_ALIAS
        shares = {other: alias.share for other, alias in self.aliases.items()}
        picked = pick(shares_of(name, shares, allowed), key)
        chosen = replace(self._use(picked, start), alias=picked)
        if picked == name:
            return chosen
        has = f"{picked!r} has {self.aliases[picked].share:.4g} of the requests for {name!r}"
        if chosen.info:
            return replace(chosen, note=f"{has}; {chosen.note}" if chosen.note else has)
        instead = self._use(name, start)
        return replace(instead, alias=name, note=f"{name!r} scored, for {has}, but {chosen.problem}")

    @contextmanager
    def promised(self, id: str) -> Iterator[None]:
        """A request that this adapter is to score may wait in the engine, in this block, while aliases move on."""
        self._promised[id] += 1
        try:
            yield
        finally:
            self._promised[id] -= 1
            if not self._promised[id]:
                del self._promised[id]

    def _use(self, name: str, start: Chosen) -> Chosen:
        alias = self.aliases.get(name)
        if alias and alias.adapter:
            self._used[alias.adapter.id] = next(self._clock)
            if self._could_be_loaded(alias.adapter):
                self.changed.set()
        return self.choose(name, start)

    def choose(self, name: str, start: Chosen) -> Chosen:
        """The adapter of an alias, else its last good one, for `default` also the one of the start, else none."""
        alias = self.aliases.get(name)
        if alias is None:
            return start if name == DEFAULT_ALIAS else Chosen(problem=self._unknown(name))
        if alias.adapter and alias.adapter.id in self.loaded.held:
            return Chosen(alias.adapter.id, alias.adapter.info, note=alias.problem)
        why = self._why_not(name, alias)
        last = self._last_good.get(name)
        if last and last.id in self.loaded.held:
            return Chosen(last.id, last.info, note=f"{last.id} scored, for {why}")
        if name == DEFAULT_ALIAS and start.info:
            return Chosen(start.id, start.info, note=f"the adapter of the start scored, for {why}")
        return Chosen(problem=why)

    def _could_be_loaded(self, adapter: LocalAdapter) -> bool:
        tried = adapter.id in self.loaded.held or adapter.id in self.loaded.problems
        return not tried and adapter.size_bytes <= self._max_bytes

    def _known(self) -> Sequence[LocalAdapter]:
        current = [alias.adapter for alias in self.aliases.values() if alias.adapter]
        known: dict[str, LocalAdapter] = {}
        for adapter in (*current, *self._last_good.values(), *self._held):
            # the first, for a sidecar that was restarted has it in another folder
            known.setdefault(adapter.id, adapter)
        return list(known.values())

    def _is_current(self, adapter: LocalAdapter) -> bool:
        return any(alias.adapter and alias.adapter.id == adapter.id for alias in self.aliases.values())

    def _rank(self, adapter: LocalAdapter) -> tuple[bool, bool, int]:
        """The smallest is what the engine should hold first."""
        return not self._is_current(adapter), adapter.id not in self._promised, -self._used.get(adapter.id, 0)

    def _unknown(self, name: str) -> str:
        return f"{name!r} is no alias of this model's adapters; there are {sorted(self.aliases) or 'none'}"

    def _why_not(self, name: str, alias: AdapterAlias) -> str:
        if alias.adapter is None:
            return f"alias {name!r}: {alias.problem}"
        if why := self.loaded.problems.get(alias.adapter.id):
            return f"{alias.adapter.id} could not be loaded: {why}"
        if alias.adapter.size_bytes > self._max_bytes:
            return f"{alias.adapter.id} has more than the {self._max_bytes} bytes of RUNTIME_ADAPTER_BYTES"
        return f"{alias.adapter.id} is not loaded yet"


def _bytes(adapters: Sequence[LocalAdapter]) -> int:
    return sum(adapter.size_bytes for adapter in adapters)
