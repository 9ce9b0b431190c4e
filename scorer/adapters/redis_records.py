"""What the values in Redis mean, as the scripts write them."""

from collections.abc import Mapping, Sequence
from typing import Any

from scorer.adapters.store_values import Alias, StoreEvent, VersionInfo
from services.shared.redis.commands import text

# no name of an alias
REVISION = ":revision"


def parse_version(number: int, record: str | bytes, idle_since_ms: bytes | None = None) -> VersionInfo:
    """Of a value of the hash `versions`."""
    fingerprint, size_bytes, created_ms = text(record).split(" ")
    since = None if idle_since_ms is None else int(idle_since_ms)
    return VersionInfo(number, fingerprint, int(size_bytes), int(created_ms), since)


def parse_alias(name: str, record: str | bytes) -> Alias:
    """Of a value of the hash `aliases`: numbers, the token of the writer, and the share, which may be missing."""
    version, generation, previous, _, *share = text(record).split(" ")
    return Alias(name, int(version), int(generation), int(previous) or None, float("".join(share) or 0))


def parse_events(answer: Mapping[bytes, Sequence[tuple[bytes, Mapping[bytes, bytes]]]] | None) -> list[StoreEvent]:
    """Of the answer to XREAD of one stream."""
    (entries,) = answer.values() if answer else ((),)
    return [_event(number, fields) for number, fields in entries]


def _event(number: bytes, fields: Mapping[bytes, bytes]) -> StoreEvent:
    known: dict[str, Any] = {text(name): text(value) for name, value in fields.items()}
    return StoreEvent(int(number.split(b"-")[0]), known["kind"], int(known["version"]), known["alias"])
