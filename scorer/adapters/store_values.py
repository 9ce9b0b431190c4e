"""What a store of adapters is asked about, and what it answers."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from pydantic import TypeAdapter, ValidationError

from scorer.adapters.errors import AdapterDamaged
from scorer.adapters.manifest import AdapterName, Manifest, ModelName

# no command is much larger, so no other client of the store waits long: for 4 MiB and a file that Redis appends to, a
# hundredth of the others waited for 25 ms, for 1 MiB 3 ms
CHUNK_BYTES = 1 << 20
DEFAULT_ALIAS = "default"
NAME_KINDS = {"model": TypeAdapter(ModelName), "name": TypeAdapter(AdapterName)}
ALIAS_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, order=True)
class AdapterId:
    """An adapter of a model; it has versions and aliases."""

    model: str
    name: str

    def __post_init__(self) -> None:
        for field, kind in NAME_KINDS.items():
            value = getattr(self, field)
            try:
                kind.validate_python(value)
            except ValidationError as error:
                raise ValueError(f"{field}: {value!r} is not a name: {error.errors()[0]['msg']}") from error

    def __str__(self) -> str:
        return f"{self.model}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of what `str` gives; the name of an adapter has no slash."""
        return cls(*text.rsplit("/", 1))


@dataclass(frozen=True, order=True)
class VersionId:
    """A version, which never changes."""

    adapter: AdapterId
    number: int

    def __str__(self) -> str:
        return f"{self.adapter} version {self.number}"


@dataclass(frozen=True)
class Upload:
    """A version on its way into the store: everything but the weights, and the sha256 of each of their chunks."""

    manifest: Manifest
    config: bytes
    chunk_sums: tuple[str, ...]

    def __post_init__(self) -> None:
        wanted = chunk_count(self.manifest.files.weights.size_bytes)
        if len(self.chunk_sums) != wanted:
            raise AdapterDamaged(f"chunk_sums: has {len(self.chunk_sums)} sums, the weights have {wanted} chunks")
        if len(self.config) != self.manifest.files.config.size_bytes or _sha256(self.config) != self._config_sum:
            raise AdapterDamaged("adapter_config.json: is not the file that the manifest describes")

    @classmethod
    def of(cls, manifest: Manifest, config: bytes, weights: bytes) -> Self:
        """Of the whole file `weights`."""
        return cls(manifest, config, tuple(_sha256(chunk) for chunk in split(weights)))

    @property
    def version(self) -> VersionId:
        return VersionId(AdapterId(self.manifest.model, self.manifest.adapter), self.manifest.version)

    @property
    def tag(self) -> str:
        """16 hex digits that differ when a byte of the weights does."""
        return _sha256(" ".join((self.manifest.files.weights.sha256, *self.chunk_sums)).encode())[:16]

    @property
    def _config_sum(self) -> str:
        return self.manifest.files.config.sha256

    def chunk_bytes(self, index: int) -> int:
        """The size of a chunk; only the last is smaller than CHUNK_BYTES."""
        return min(CHUNK_BYTES, self.manifest.files.weights.size_bytes - index * CHUNK_BYTES)

    def check_chunk(self, index: int, content: bytes) -> None:
        """Raises AdapterDamaged naming the chunk when these are not its bytes."""
        if not 0 <= index < len(self.chunk_sums):
            raise AdapterDamaged(f"chunk {index}: {self.version} has {len(self.chunk_sums)} chunks, counted from 0")
        if len(content) != self.chunk_bytes(index):
            raise AdapterDamaged(
                f"chunk {index} of {self.version}: has {len(content)} bytes instead of {self.chunk_bytes(index)}"
            )
        if _sha256(content) != self.chunk_sums[index]:
            raise AdapterDamaged(f"chunk {index} of {self.version}: its sha256 is not the published one")


@dataclass(frozen=True)
class VersionInfo:
    """A version in a list. `idle_since_ms` (Unix time) says since when no alias points or would roll back to it."""

    number: int
    model_fingerprint: str
    size_bytes: int
    created_ms: int
    idle_since_ms: int | None = None


@dataclass(frozen=True)
class Alias:
    """A name that moves. Whoever moves it says the `generation` they saw; `previous` is where a rollback goes.

    `share` of the requests for `default`, from 0 to 1, go to this alias instead.
    """

    name: str
    version: int
    generation: int
    previous: int | None = None
    share: float = 0.0


@dataclass(frozen=True)
class Aliases:
    """All aliases of an adapter at the moment of event number `revision`."""

    by_name: dict[str, Alias]
    revision: int


@dataclass(frozen=True)
class StoreEvent:
    """A change: `published`, `alias`, `alias_removed` or `deleted`. Numbers of an adapter's events have no gaps."""

    number: int
    kind: str
    version: int
    alias: str = ""


@dataclass(frozen=True)
class AdapterPage:
    """Adapters in the order of their names. `next_after` asks for the next page; empty at the end."""

    adapters: tuple[AdapterId, ...]
    next_after: str = ""


@dataclass(frozen=True)
class StoreLimits:
    """How long a store waits for others, and how much it remembers.

    upload_grace_seconds    a chunk of an upload stays so long without the upload being resumed or committed
    drain_seconds           those who read a version may go on so long when it is deleted
    max_events              about so many events are kept; who is later reads the aliases
    """

    upload_grace_seconds: int = 3600
    drain_seconds: int = 600
    max_events: int = 1000


def chunk_count(size_bytes: int) -> int:
    """Of a file of this size."""
    return -(-size_bytes // CHUNK_BYTES)


def split(weights: bytes) -> list[bytes]:
    """The chunks of a file."""
    return [weights[start : start + CHUNK_BYTES] for start in range(0, len(weights), CHUNK_BYTES)]


def check_alias_name(name: str) -> None:
    """Raises ValueError for a name that no alias may have."""
    if not ALIAS_PATTERN.fullmatch(name):
        raise ValueError(f"alias: {name!r} is not a name; use up to 64 of a-z, 0-9, '.', '_' and '-'")


def check_share(name: str, share: float | None) -> None:
    """Raises ValueError for a share that this alias cannot have; None leaves it as it is."""
    if share is None:
        return
    if not 0 <= share <= 1:
        raise ValueError(f"share: {share} is not between 0 and 1")
    if share and name == DEFAULT_ALIAS:
        raise ValueError(f"share: {name!r} has what others leave; give {share} to another alias, or lower theirs")


def shares_exceeded(share: float, others: float) -> ValueError:
    """What a store raises when all shares together would be above 1."""
    return ValueError(f"share: {share:g} and the {others:g} of other aliases are more than 1; lower one of them")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
