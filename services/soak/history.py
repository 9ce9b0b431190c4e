"""What aliases pointed at and when, and whether an answer names a version that it was allowed to name.

A request that was sent at s and answered at e may name what its alias pointed at from s - CONVERGE_SECONDS to e, for
however short a time. While Redis is away nobody hears of a move: a fault that began at f, and was not over
CONVERGE_SECONDS before s, allows what was allowed at f, too. So the time goes back to f - CONVERGE_SECONDS, and once
more for a fault that reaches into that. An alias counts as pointing at both versions while a move is on its way, and,
where no answer came to the move, until the aliases were read again. What a crash took back counts from the crash on.

An answer that `window` scored names no version and is allowed; how many there are is in the report.
"""

from dataclasses import dataclass, replace

from services.soak.plan import ADAPTER, CONVERGE_SECONDS

WINDOW = "window"


@dataclass(frozen=True)
class Seen:
    """An answer: what was asked for and when, in seconds of one clock, and what its report names.

    Both aliases are without the name of the adapter.
    """

    alias: str
    policy: str
    sent: float
    answered: float
    scored_policy: str
    adapter: str = ""
    version: int = 0
    named_alias: str = ""

    @property
    def by_window(self) -> bool:
        """Whether no adapter scored, and the report names none."""
        return self.scored_policy == WINDOW and not (self.adapter or self.version or self.named_alias)


@dataclass(frozen=True)
class Span:
    """From when to when an alias may have pointed at a version, or Redis was away."""

    start: float
    end: float | None = None

    def overlaps(self, start: float, end: float) -> bool:
        return self.start <= end and (self.end is None or self.end >= start)


class History:
    """Written while a soak runs, by one clock; asked at its end."""

    def __init__(self) -> None:
        self._published: dict[int, float] = {}
        self._pointed: dict[str, list[tuple[int, Span]]] = {}
        self._faults: list[Span] = []

    @property
    def faults(self) -> int:
        """How many began so far."""
        return len(self._faults)

    def publishing(self, version: int, at: float) -> None:
        """The version may be there from now on."""
        self._published.setdefault(version, at)

    def may_point(self, alias: str, version: int, at: float) -> None:
        """A move is on its way."""
        if version not in self._open(alias):
            self._pointed.setdefault(alias, []).append((version, Span(at)))

    def points(self, alias: str, version: int, at: float) -> None:
        """The store said that it points there, and so nowhere else."""
        self.may_point(alias, version, self._faults[-1].start if self._faults else at)
        self._pointed[alias] = [
            (number, span if number == version or span.end is not None else replace(span, end=at))
            for number, span in self._pointed[alias]
        ]

    def fault_began(self, at: float) -> None:
        """Redis is away from now on."""
        self._faults.append(Span(at))

    def fault_ended(self, at: float) -> None:
        """Redis is back."""
        self._faults[-1] = replace(self._faults[-1], end=at)

    def allowed(self, alias: str, sent: float, answered: float) -> frozenset[int]:
        """The versions that an answer may name."""
        since = self._since(sent)
        pointed = self._pointed.get(alias, [])
        return frozenset(version for version, span in pointed if span.overlaps(since, answered))

    def objection(self, seen: Seen) -> str:
        """What is wrong with an answer; empty when nothing is."""
        if seen.by_window:
            return ""
        named = f"alias {seen.alias!r}, asked for {seen.policy}: {seen.scored_policy} with {seen.adapter!r} version "
        named += str(seen.version)
        if (seen.scored_policy, seen.adapter) != (seen.policy, ADAPTER) or not seen.version:
            return f"{named}: is neither {WINDOW} without an adapter nor what was asked for"
        if seen.named_alias != seen.alias:
            return f"{named}: names the alias {seen.named_alias!r}"
        if self._published.get(seen.version, seen.answered) >= seen.answered:
            return f"{named}: was not published"
        allowed = self.allowed(seen.alias, seen.sent, seen.answered)
        if seen.version not in allowed:
            return f"{named}: the alias pointed at {sorted(allowed)} from {self._since(seen.sent):.1f} s on"
        return ""

    def _since(self, sent: float) -> float:
        since = sent - CONVERGE_SECONDS
        for fault in reversed(self._faults):
            if fault.overlaps(since, sent):
                since = min(since, fault.start - CONVERGE_SECONDS)
        return since

    def _open(self, alias: str) -> set[int]:
        return {version for version, span in self._pointed.get(alias, []) if span.end is None}
